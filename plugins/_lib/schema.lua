--- The part of JSON Schema that needs no references. schema.checks(schema) returns a function from a value
--- that json.decode gave to nil, or to what is wrong with it and the path to the place; it fails for a schema
--- that cannot be.
local json_kind = require("json_kind")
local schema = {}
local kind_of, is = json_kind.of, json_kind.is

-- By keyword: a function that makes a check of the keyword's value. A check gets a value and its kind, and
-- returns what is wrong: a text, and the path below the value where it is.
local keywords = {}

function keywords.type(given)
  local names = type(given) == "string" and { given } or given
  return function(_, kind)
    for _, name in ipairs(names) do
      if is(kind, name) then return end
    end
    return "must be " .. table.concat(names, " or ")
  end
end

function keywords.enum(values)
  local known, shown = {}, {}
  for i, value in ipairs(values) do known[value], shown[i] = true, tostring(value) end
  return function(value)
    if not known[value] then return "must be one of " .. table.concat(shown, ", ") end
  end
end

function keywords.required(names)
  return function(value, kind)
    if not is(kind, "object") then return end
    for _, name in ipairs(names) do
      if value[name] == nil then return "is missing", "." .. name end
    end
  end
end

function keywords.properties(properties)
  local checks = {}
  for name, part in pairs(properties) do checks[name] = schema.checks(part) end
  return function(value, kind)
    if kind ~= "object" then return end
    for name, check in pairs(checks) do
      if value[name] ~= nil then
        local problem, place = check(value[name])
        if problem then return problem, "." .. name .. place end
      end
    end
  end
end

function keywords.items(part)
  local check = schema.checks(part)
  return function(value, kind)
    if kind ~= "array" then return end
    for i = 1, #value do
      local problem, place = check(value[i])
      if problem then return problem, "[" .. i - 1 .. "]" .. place end
    end
  end
end

local least = function(count, bound) return count >= bound end
local most = function(count, bound) return count <= bound end
local limits = {
  minimum = { "number", least, "must be at least %s" },
  maximum = { "number", most, "must be at most %s" },
  minLength = { "string", least, "must have at least %s characters" },
  maxLength = { "string", most, "must have at most %s characters" },
  minItems = { "array", least, "must have at least %s elements" },
  maxItems = { "array", most, "must have at most %s elements" },
}
for name, limit in pairs(limits) do
  keywords[name] = function(bound)
    return function(value, kind)
      if not is(kind, limit[1]) then return end
      local count = type(value) == "number" and value or #value
      if kind == "string" then count = utf8.len(value) or count end
      if not limit[2](count, bound) then return limit[3]:format(bound) end
    end
  end
end

function keywords.pattern(pattern)
  regex.match(pattern, "")
  return function(value, kind)
    if kind == "string" and not regex.match(pattern, value) then return "must match " .. pattern end
  end
end

function keywords.additionalProperties(allowed, whole)
  local known = whole.properties or {}
  return function(value, kind)
    for name in pairs(allowed == false and kind == "object" and value or {}) do
      if not known[name] then return "is not allowed", "." .. name end
    end
  end
end

local ignored = { title = true, description = true, ["$schema"] = true, ["$id"] = true, default = true }

function schema.checks(part)
  local checks = {}
  for keyword, value in pairs(part) do
    if not ignored[keyword] then
      if not keywords[keyword] then error("unknown keyword '" .. tostring(keyword) .. "'", 0) end
      checks[#checks + 1] = keywords[keyword](value, part)
    end
  end
  return function(value)
    local kind = kind_of(value)
    for _, check in ipairs(checks) do
      local problem, place = check(value, kind)
      if problem then return problem, place or "" end
    end
  end
end

return schema
