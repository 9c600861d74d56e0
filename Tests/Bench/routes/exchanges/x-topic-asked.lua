--- The native topic through Lua, asked for each message, which looks at two headers first.
---@type yutu.Plugin
return {
  api = 1,
  about = "topic, asked each time",
  exchange = {
    route = function(message, bindings)
      local headers = message.headers
      if headers.kind == "b" or headers.idx == "none" then return nil end
      return bindings:topic(message.routing_key)
    end,
  },
}
