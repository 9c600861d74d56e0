-- expect: runtime
-- Waits where nobody may.
return { exchange = { route = function() sleep(1) end } }
