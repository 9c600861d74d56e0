--- Sends each message to one binding: the hash of its routing key, modulo the number of bindings.
--- Equal keys meet again as long as the bindings stay. Binding keys mean nothing.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "one binding, by the hash of the routing key modulo their number",
}

plugin.exchange = {
  pure = { "routing_key" },

  --- The bindings in an order that does not depend on when they were made.
  prepare = function(bindings)
    local sorted, names = {}, {}
    for binding in bindings:each() do
      sorted[#sorted + 1] = binding
      names[binding] = binding.destination_kind .. "\0" .. binding.destination .. "\0" .. binding.routing_key
    end
    table.sort(sorted, function(a, b) return names[a] < names[b] end)
    return sorted
  end,

  route = function(message, _, sorted)
    if #sorted > 0 then return sorted[hash.xxhash(message.routing_key) % #sorted + 1] end
  end,
}

return plugin
