-- expect: instructions|time
-- A message handler that loops, around a wait.
local function loop() while true do end end
return { events = { go = function() while true do xpcall(function() sleep(0) loop() end, loop) end end } }
