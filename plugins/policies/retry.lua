--- Gives a message that its consumer rejected another chance, later: it comes back into the same queue after
--- a delay that grows with each try. After the last try it goes where the queue sends its dead letters.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "rejected messages come back, each time a little later",
  enabled = false,
  settings = {
    tries = { default = 5, min = 1, type = "integer", about = "how often a message comes back" },
    first = { default = 1000, type = "integer", min = 1, about = "milliseconds before the first time" },
    factor = { default = 2, min = 1, type = "number", about = "each delay is so many times the one before" },
    longest = { default = 600000, min = 1, max = 4294967295, about = "milliseconds, at most" },
    spread = { default = 0, min = 0, max = 1, about = "how much of each delay is random" },
    reasons = {
      default = { "rejected" }, type = "list", about = "of rejected, expired, maxlen, delivery_limit",
    },
    queues = { default = { "*" }, type = "list", about = "globs of the queues" },
  },
}

local glob = require("glob")

local reasons

function plugin.dead_letter(message, death)
  if not reasons then
    reasons = {}
    for _, reason in ipairs(settings.reasons) do reasons[reason] = true end
  end
  if not reasons[death.reason] or death.count > settings.tries then return end
  if not glob.any(settings.queues, death.queue) then return end
  local wait = math.min(settings.first * settings.factor ^ (death.count - 1), settings.longest)
  log.debug("try", death.count, "of", message.message_id or message.routing_key, "in", wait, "ms")
  return delay(math.floor(wait * (1 - settings.spread * math.random())))
end

return plugin
