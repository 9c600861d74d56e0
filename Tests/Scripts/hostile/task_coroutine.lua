-- expect: runtime
-- Waits in a coroutine of its own.
return { events = { go = function() coroutine.wrap(function() sleep(0) end)() end } }
