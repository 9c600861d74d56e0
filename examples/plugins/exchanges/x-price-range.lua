--- Sends an order to the queues whose price range holds its price.
--- A binding says its range in the arguments min and max; an order says price and currency in headers.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "route by price",
  settings = { currency = { default = "EUR", about = "orders in others are refused" } },
}

plugin.exchange = {
  bind = function(binding)
    local min, max = binding.arguments.min, binding.arguments.max
    if not (math.type(min) and math.type(max)) then return deny("min and max must be numbers") end
    return { min = min, max = max }
  end,

  route = function(message, bindings)
    if message.headers.currency ~= settings.currency then return deny("currency") end
    local price, to = message.headers.price or 0, {}
    for binding, range in bindings:each() do
      if price >= range.min and price < range.max then to[#to + 1] = binding end
    end
    return to
  end,
}

return plugin
