--- Routes by ranges of headers: a binding's arguments say, for each header, "10..20", ">=5", "~^eu-", or a value
--- that it must equal. With x-match = "any" one of them is enough.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "route by numeric ranges, patterns and values of headers",
}

local conditions = require("conditions")

local signs = { [">"] = "greater", [">="] = "at_least", ["<"] = "less", ["<="] = "at_most" }

--- A range in the words of `conditions`, or nil.
local function range_of(text)
  local low, closed, high = text:match("^(.-)%.%.(=?)(.*)$")
  if not low or low .. high == "" or closed == "=" and high == "" then return nil end
  if low ~= "" and not tonumber(low) or high ~= "" and not tonumber(high) then return nil end
  return { at_least = tonumber(low), [closed == "" and "less" or "at_most"] = tonumber(high) }
end

local function condition_of(value)
  if type(value) ~= "string" then return value end
  local sign, rest = value:match("^([<>]=?)%s*(.+)$")
  if sign then return { [signs[sign]] = rest } end
  if value:sub(1, 1) == "=" then return { equals = value:sub(2) } end
  if value:sub(1, 1) == "~" then return { regex = value:sub(2) } end
  return range_of(value) or { equals = value }
end

plugin.exchange = {
  bind = function(binding)
    local match = binding.arguments["x-match"] or "all"
    if match ~= "all" and match ~= "any" then return deny("x-match must be all or any") end
    local kept = { any = match == "any" }
    for name, value in pairs(binding.arguments) do
      if name:sub(1, 2) ~= "x-" then
        local test, problem = conditions.compile(condition_of(value))
        if not test then return deny("header '" .. name .. "': " .. problem) end
        kept[#kept + 1] = { name = name, test = test }
      end
    end
    return kept
  end,

  route = function(message, bindings)
    local headers, found = message.headers, {}
    for binding, kept in bindings:each() do
      local any, holds = kept.any, not kept.any
      for i = 1, #kept do
        if kept[i].test(headers[kept[i].name]) == any then
          holds = any
          break
        end
      end
      if holds then found[#found + 1] = binding end
    end
    return found
  end,
}

return plugin
