--- Refuses messages that are too large: a body, a number of headers, a routing key.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "refuse messages whose body, headers or key are too large",
  enabled = false,
  settings = {
    max_body = { default = 1048576, min = 0, about = "bytes of a body" },
    max_headers = { default = 100, min = 0, about = "headers of a message" },
    max_key = { default = 255, min = 0, max = 255, about = "bytes of a routing key" },
    exchanges = {
      default = {}, type = "table", about = "bytes of a body by glob of the exchange, instead of max_body",
    },
  },
}

local glob = require("glob")

local limits

--- Globs by length, the longest first: what says more about a name goes first.
local function read_limits()
  limits = {}
  for text, bytes in pairs(settings.exchanges) do
    limits[#limits + 1] = { text = text, matches = glob(text), bytes = bytes }
  end
  table.sort(limits, function(a, b)
    if #a.text ~= #b.text then return #a.text > #b.text end
    return a.text < b.text
  end)
end

local function limit_of(exchange)
  if not limits then read_limits() end
  for _, limit in ipairs(limits) do
    if limit.matches(exchange) then return limit.bytes end
  end
  return settings.max_body
end

local function run(message)
  local most = limit_of(message.exchange)
  if message.size > most then return deny(("a body of %d bytes; at most %d"):format(message.size, most)) end
  if #message.routing_key > settings.max_key then
    return deny(("a routing key of %d bytes; at most %d"):format(#message.routing_key, settings.max_key))
  end
  local count = 0
  for _ in pairs(message.headers) do count = count + 1 end
  if count > settings.max_headers then
    return deny(("%d headers; at most %d"):format(count, settings.max_headers))
  end
end

plugin.filters = { publish = { order = -50, run = run } }

return plugin
