--- Holds a message back for as many milliseconds as its header x-delay says, then routes it as an exchange of
--- the type in the argument x-delayed-type does. It is delivered with the header negated: its delay is over, also
--- for a second exchange of this type.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "hold messages back for the milliseconds in x-delay",
}

--- The longest delay; a message that asks for more is routed at once, as by the plugin for RabbitMQ.
local longest = 4294967295

local types = {
  direct = function(message, bindings) return bindings:key(message.routing_key) end,
  topic = function(message, bindings) return bindings:topic(message.routing_key) end,
  fanout = function(_, bindings) return bindings:all() end,
  headers = function(_, bindings) return bindings:headers() end,
}

local matches = { all = true, any = true, ["all-with-x"] = true, ["any-with-x"] = true }

local function validate(exchange)
  local name = exchange.arguments["x-delayed-type"]
  if name == "x-delayed-message" then
    return deny("Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'")
  end
  if type(name) ~= "string" then
    return deny("Invalid argument, 'x-delayed-type' must be an existing exchange type")
  end
  if not types[name] then return deny("unknown exchange type '" .. name .. "'") end
end

local function bind(binding)
  local match = binding.arguments["x-match"]
  if binding.exchange.arguments["x-delayed-type"] ~= "headers" or match == nil then return end
  if matches[match] then return end
  return deny("Invalid x-match field value; expected all, any, all-with-x, or any-with-x")
end

--- Milliseconds, or nil when the message is for now.
local function delay_of(headers)
  local wanted = tonumber(headers["x-delay"])
  if wanted and wanted >= 1 and wanted <= longest then return wanted // 1 end
end

plugin.exchange = {
  validate = validate,
  bind = bind,
  prepare = function(bindings) return types[bindings.exchange.arguments["x-delayed-type"]] end,
  route = function(message, bindings, select)
    local wait = not message.delayed and delay_of(message.headers)
    if wait then return delay(wait, { headers = { ["x-delay"] = -wait } }) end
    return select(message, bindings)
  end,
}

return plugin
