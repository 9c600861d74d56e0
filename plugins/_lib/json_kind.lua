--- What JSON calls the values that json.decode gave.
local json_kind = {}

--- "null", "boolean", "string", "integer", "number", "array", "object", or "empty": Lua has one empty table
--- for {} and [].
function json_kind.of(value)
  local kind = type(value)
  if kind == "string" or kind == "boolean" then return kind end
  if kind == "number" then return value % 1 == 0 and "integer" or "number" end
  if kind ~= "table" then return "null" end
  return #value > 0 and "array" or next(value) == nil and "empty" or "object"
end

--- Whether what is of the first kind may be called by the second.
function json_kind.is(kind, name)
  return kind == name or kind == "integer" and name == "number"
    or kind == "empty" and (name == "array" or name == "object")
end

return json_kind
