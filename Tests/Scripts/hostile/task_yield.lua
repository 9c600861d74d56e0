-- expect: runtime
-- Yields to the host.
return { events = { go = function() coroutine.yield({ "http.request", print }) end } }
