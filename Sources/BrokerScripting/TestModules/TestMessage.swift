/// The message that `yutu.test` gives to filters: a table that behaves as the broker's view does.

let testMessageModule = #"""
  --- A function that makes a simulated message of a table.
  local fields = {}
  for name in ([[
    exchange routing_key headers body size user identity vhost queue redelivered delayed
    content_type content_encoding delivery_mode priority correlation_id reply_to expiration message_id timestamp
    type user_id app_id cluster_id
  ]]):gmatch("%S+") do fields[name] = true end

  local view = { __metatable = false, __name = "message" }

  function view.__newindex()
    error("a message cannot be changed; return change{...}", 2)
  end

  return function(given)
    local values = {
      exchange = "", routing_key = "", body = "", vhost = "/", user = "guest", redelivered = false,
    }
    local headers = {}
    for name, value in pairs(given or {}) do
      if not fields[name] then error("a message has no field '" .. tostring(name) .. "'", 3) end
      values[name] = value
    end
    for name, value in pairs(values.headers or {}) do headers[name] = value end
    values.headers = headers
    values.size = values.size or #values.body
    local metatable = { __metatable = false, __name = "message", __newindex = view.__newindex }
    function metatable.__index(_, name)
      local value = values[name]
      if value == nil and not fields[name] then error("a message has no field '" .. tostring(name) .. "'", 2) end
      return value
    end
    return setmetatable({}, metatable)
  end
  """#
