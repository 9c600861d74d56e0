--- Sends each message to one of its bindings, chosen at random.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "one binding, chosen at random",
}

plugin.exchange = {
  route = function(_, bindings)
    local all = bindings:all()
    if #all > 0 then return all[math.random(#all)] end
  end,
}

return plugin
