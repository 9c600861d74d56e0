--- The native topic through Lua, asked once for each routing key.
---@type yutu.Plugin
return {
  api = 1,
  about = "topic, pure",
  exchange = {
    pure = { "routing_key" },
    route = function(message, bindings) return bindings:topic(message.routing_key) end,
  },
}
