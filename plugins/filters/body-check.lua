--- Refuses messages whose JSON body is not as it should be, and tells the publisher what is wrong. What it
--- should be is said in the words of JSON Schema, by glob of the exchange.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "refuse JSON bodies that do not fit a schema",
  enabled = false,
  settings = {
    schemas = { default = {}, type = "table", about = "by glob of the exchange; the longest glob counts" },
    keys = { default = {}, type = "table", about = "by glob of the routing key, where no exchange has one" },
    max_bytes = { default = 8192, min = 1, max = 1048576, about = "larger bodies are refused unread" },
  },
}

local glob, schema = require("glob"), require("schema")

local by_exchange, by_key

--- Checks with the globs they are for, the longest first.
local function read(schemas)
  local list = {}
  for text, part in pairs(schemas) do
    list[#list + 1] = { text = text, matches = glob(text), check = schema.checks(part) }
  end
  table.sort(list, function(a, b)
    if #a.text ~= #b.text then return #a.text > #b.text end
    return a.text < b.text
  end)
  return list
end

local function check_for(message)
  by_exchange, by_key = by_exchange or read(settings.schemas), by_key or read(settings.keys)
  for _, entry in ipairs(by_exchange) do
    if entry.matches(message.exchange) then return entry.check end
  end
  for _, entry in ipairs(by_key) do
    if entry.matches(message.routing_key) then return entry.check end
  end
end

--- Routing keys are of all exchanges.
local function match(settings)
  if next(settings.keys) then return end
  local exchanges = {}
  for text in pairs(settings.schemas) do exchanges[#exchanges + 1] = text end
  return { exchange = exchanges }
end

local function run(message)
  local check = check_for(message)
  if not check then return end
  if message.size > settings.max_bytes then
    return deny(("a body of %d bytes; at most %d"):format(message.size, settings.max_bytes))
  end
  local fine, body = pcall(json.decode, message.body)
  if not fine then return deny("the body is no JSON") end
  local problem, place = check(body)
  if problem then return deny("body" .. place .. " " .. problem) end
end

plugin.filters = { publish = { match = match, order = -20, run = run } }

return plugin
