-- expect: instructions|time
-- A `__close` that loops after a wait.
return { events = { go = function()
  local x <close> = setmetatable({}, { __close = function() while true do end end })
  sleep(0)
end } }
