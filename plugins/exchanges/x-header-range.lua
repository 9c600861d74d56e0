--- Routes by ranges of headers: a binding's arguments say, for each header, "10..20", ">=5", "~^eu-", or a
--- value that it must equal. With x-match = "any" one of them is enough.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "route by numeric ranges, patterns and values of headers",
}

local conditions = require("conditions")

local signs = { [">"] = "greater", [">="] = "at_least", ["<"] = "less", ["<="] = "at_most" }

--- A test for a range such as "10..20", "10..=20", "10.." or "..20"; nil if the text is none.
local function range_of(text)
  local first, closed, last = text:match("^(.-)%.%.(=?)(.*)$")
  local low, high = tonumber(first), tonumber(last)
  if not (low or high) or first ~= "" and not low or last ~= "" and not high then return nil end
  if closed == "=" and not high then return nil end
  low, high = low or -math.huge, high or math.huge
  local includes_high = closed == "="
  return function(value)
    local number = type(value) == "number" and value or tonumber(value)
    return number ~= nil and number >= low and (number < high or includes_high and number == high)
  end
end

--- A value of a binding's arguments in the words of `conditions`.
local function condition_of(value)
  if type(value) ~= "string" then return value end
  local sign, rest = value:match("^([<>]=?)%s*(.+)$")
  if sign then return { [signs[sign]] = rest } end
  if value:sub(1, 1) == "=" then return { equals = value:sub(2) } end
  if value:sub(1, 1) == "~" then return { regex = value:sub(2) } end
  return { equals = value }
end

local function test_of(value)
  local range = type(value) == "string" and range_of(value)
  if range then return range end
  return conditions.compile(condition_of(value))
end

local function bind(binding)
  local match = binding.arguments["x-match"] or "all"
  if match ~= "all" and match ~= "any" then return deny("x-match must be all or any") end
  local kept = { any = match == "any" }
  for name, value in pairs(binding.arguments) do
    if name:sub(1, 2) ~= "x-" then
      local test, problem = test_of(value)
      if not test then return deny("header '" .. name .. "': " .. problem) end
      kept[#kept + 1] = { name = name, test = test }
    end
  end
  return kept
end

--- Bindings and what is kept of them as plain lists, which `route` walks fastest.
local function prepare(bindings)
  local list, rules = {}, {}
  for binding, kept in bindings:each() do
    list[#list + 1], rules[#rules + 1] = binding, kept
  end
  return { bindings = list, rules = rules }
end

local function route(message, _, index)
  local headers, rules, found = message.headers, index.rules, {}
  for i = 1, #rules do
    local rule = rules[i]
    local any, holds = rule.any, not rule.any
    for j = 1, #rule do
      local check = rule[j]
      if check.test(headers[check.name]) == any then
        holds = any
        break
      end
    end
    if holds then found[#found + 1] = index.bindings[i] end
  end
  return found
end

plugin.exchange = { bind = bind, prepare = prepare, route = route }

return plugin
