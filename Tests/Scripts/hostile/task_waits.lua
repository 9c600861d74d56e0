-- expect: runtime
-- Waits for ever.
return { events = { go = function() while true do sleep(0) end end } }
