--- Drops a message whose identifier was seen a short time ago: a publisher that did not get its confirm may
--- send again, and the queues get the message once. The duplicate is confirmed.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "drop messages whose identifier was seen a short time ago",
  enabled = false,
  settings = {
    header = { default = "x-deduplication-header", about = "the identifier; if empty, message_id" },
    seconds = { default = 60, min = 0.001, type = "number", about = "how long an identifier is remembered" },
    entries = {
      default = 100000, type = "integer", min = 1, max = 1000000, about = "identifiers; the oldest goes",
    },
    exchanges = { default = { "*" }, type = "list", about = "globs of the exchanges that are looked at" },
  },
}

local joined = require("joined")

local function match(settings) return { exchange = settings.exchanges } end

local function run(message)
  if message.delayed then return end
  local id
  if settings.header == "" then id = message.message_id else id = message.headers[settings.header] end
  if id == nil or id == null then return end
  local key = joined(message.vhost, message.exchange, id)
  if not shared("deduplicate", settings.entries):add(key, true, settings.seconds) then
    return drop("duplicate of '" .. tostring(id):sub(1, 100) .. "'")
  end
end

--- After all that may refuse a message, so that one that was refused may come again.
plugin.filters = { publish = { match = match, order = 1000, run = run } }

return plugin
