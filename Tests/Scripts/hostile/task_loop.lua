-- expect: instructions|time
-- Loops after it was resumed.
return { events = { go = function() sleep(0) while true do end end } }
