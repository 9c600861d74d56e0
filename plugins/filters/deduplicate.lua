--- Drops a message whose identifier was seen a short time ago: a publisher that did not get its confirm may send
--- again, and the queues get the message once. The duplicate is confirmed.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "drop messages whose identifier was seen a short time ago",
  enabled = false,
  settings = {
    header = { default = "x-deduplication-header", about = "the identifier; the property message_id if empty" },
    seconds = { default = 60, min = 0.001, type = "number", about = "how long an identifier is remembered" },
    entries = { default = 100000, min = 1, about = "identifiers that are remembered; the oldest goes" },
    exchanges = { default = { "*" }, type = "list", about = "globs of the exchanges that are looked at" },
  },
}

local glob = require("glob")

local watched

local function run(message)
  watched = watched or glob.any(settings.exchanges)
  if message.delayed or not watched(message.exchange) then return end
  local id
  if settings.header == "" then id = message.message_id else id = message.headers[settings.header] end
  if id == nil or id == null then return end
  local text = message.vhost .. "\0" .. message.exchange .. "\0" .. tostring(id)
  if #text > 512 then text = hash.sha256(text) end
  if not shared("deduplicate", settings.entries):add(text, true, settings.seconds) then
    return drop("duplicate of '" .. tostring(id):sub(1, 100) .. "'")
  end
end

--- After all that may refuse a message, so that one that was refused may come again.
plugin.filters = { publish = { order = 1000, run = run } }

return plugin
