--- Reads the routing key of what goes to the default exchange.
---@type yutu.Plugin
return {
  api = 1,
  about = "reads the key",
  filters = {
    publish = {
      match = { exchange = "" },
      run = function(message)
        if message.routing_key == "forbidden" then return deny("forbidden") end
      end,
    },
  },
}
