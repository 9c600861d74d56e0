--- Routes by the fields of a JSON body: a binding's arguments are paths and what they must equal, such as
--- ["order.country"] = "DE" or ["items.0.sku"] = "A1". A list means one of its values, a void that the path
--- is there. With x-match = "any" one of them is enough.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "route by the fields of a JSON body",
  settings = {
    max_bytes = { default = 16384, min = 1, max = 1048576, about = "larger bodies are refused" },
  },
}

local paths = require("paths")

--- A set of the values that will do, or nil when any will.
local function wanted_of(value)
  if value == null then return nil end
  local wanted = {}
  for _, item in ipairs(type(value) == "table" and value or { value }) do wanted[item] = true end
  return wanted
end

local function bind(binding)
  local match = binding.arguments["x-match"] or "all"
  if match ~= "all" and match ~= "any" then return deny("x-match must be all or any") end
  local kept = { any = match == "any" }
  for name, value in pairs(binding.arguments) do
    if name:sub(1, 2) ~= "x-" then
      if type(value) == "table" and #value == 0 then
        return deny("'" .. name .. "' must be a value or a list")
      end
      kept[#kept + 1] = { name = name, path = paths.split(name), wanted = wanted_of(value) }
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
  local rules, values, known, found = index.rules, {}, {}, {}
  if #rules == 0 then return end
  if message.size > settings.max_bytes then
    return deny("a JSON body of more than " .. settings.max_bytes .. " bytes")
  end
  local fine, body = pcall(json.decode, message.body)
  if not fine then return end
  for i = 1, #rules do
    local rule = rules[i]
    local any, holds = rule.any, not rule.any
    for j = 1, #rule do
      local check = rule[j]
      local name = check.name
      if not known[name] then known[name], values[name] = true, paths.get(body, check.path) end
      local value = values[name]
      if (value ~= nil and (check.wanted == nil or check.wanted[value] == true)) == any then
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
