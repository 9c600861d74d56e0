-- expect: memory|instructions|time
-- Holds on to all that it can while it waits.
local all = {}
return { events = { go = function()
  for i = 1, 1000 do all[#all + 1] = { ("x"):rep(1000) .. #all } end
  sleep(0)
end } }
