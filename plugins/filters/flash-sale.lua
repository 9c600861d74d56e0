--- Admits the first messages of each key and refuses the rest: what a shop needs whose thousand pairs of
--- shoes are asked for by a million people. The refused ones never enter a queue.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "admit the first so many messages of each key, refuse the rest",
  enabled = false,
  settings = {
    admit = { default = 100, type = "integer", min = 0, about = "messages of each key" },
    exchanges = { default = { "sale" }, type = "list", about = "globs of the exchanges that are for sales" },
    header = { default = "", about = "the header that is the key; the routing key if empty" },
    buyer = { default = "", about = "a header of which each value is admitted once a key; empty: no rule" },
    seconds = { default = 86400, min = 1, about = "how long a key is remembered after its first message" },
    keys = {
      default = 100000, type = "integer", min = 1, max = 1000000, about = "and of buyers; the oldest goes",
    },
    reason = { default = "sold out", about = "what a refused publisher reads" },
  },
}

local joined = require("joined")

local function match(settings) return { exchange = settings.exchanges } end

local function run(message)
  local headers = message.headers
  local key = settings.header == "" and message.routing_key or headers[settings.header]
  if key == nil then return deny("the header '" .. settings.header .. "' is missing") end
  key = joined(message.vhost, message.exchange, key)
  local sold = shared("flash-sale", settings.keys)
  if (sold:get(key) or 0) >= settings.admit then return deny(settings.reason) end
  if settings.buyer ~= "" then
    local buyer = headers[settings.buyer]
    if buyer == nil then return deny("the header '" .. settings.buyer .. "' is missing") end
    local buyers = shared("flash-sale buyers", settings.keys)
    if not buyers:add(joined(key, buyer), true, settings.seconds) then
      return deny("once only")
    end
  end
  sold:incr(key, 1, 0, settings.seconds)
end

plugin.filters = { publish = { match = match, order = 50, run = run } }

return plugin
