--- An exchange of the type direct that remembers the last message of each routing key: a queue that is bound
--- with that key gets it at once.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "direct, and the last message of its key goes to each new binding",
  settings = {
    max_keys = { default = 10000, min = 1, about = "routing keys an exchange remembers; the oldest goes" },
    max_bytes = { default = 4194304, min = 1024, max = 33554432, about = "what all exchanges may remember" },
  },
}

local kept = require("kept")

local values = kept.new()

plugin.exchange = {
  bind = function(binding)
    local last = binding.is_new and values:get(kept.place(binding.exchange), binding.routing_key)
    if not last then return end
    local copy = { vhost = binding.exchange.vhost }
    for name, value in pairs(last) do copy[name] = value end
    copy[binding.destination_kind] = binding.destination
    publish(copy)
  end,

  route = function(message, bindings)
    local key = message.routing_key
    values:keep(kept.place(bindings.exchange), message, settings.max_keys, settings.max_bytes, key)
    return bindings:key(key)
  end,
}

plugin.events = {
  exchange_deleted = function(event) values:forget(kept.place(event)) end,
}

plugin.save = function() return values:saved() end
plugin.restore = function(state) values = kept.restored(state) end

return plugin
