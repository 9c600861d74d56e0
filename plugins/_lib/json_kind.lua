--- What JSON calls the values that json.decode gave.
local json_kind = {}

--- "null", "boolean", "string", "integer", "number", "array", "object", or "empty": Lua has one empty table for {}
--- and [].
function json_kind.of(value)
  if value == null then return "null" end
  local kind = math.type(value) or type(value)
  if kind == "float" then return value == math.floor(value) and "integer" or "number" end
  if kind == "table" then kind = #value > 0 and "array" or next(value) == nil and "empty" or "object" end
  return kind
end

--- Whether what is of the first kind may be called by the second.
function json_kind.is(kind, name)
  return kind == name or kind == "integer" and name == "number"
    or kind == "empty" and (name == "array" or name == "object")
end

return json_kind
