-- expect: instructions|time
-- Each coroutine ends before its own count does.
while true do coroutine.wrap(function() local n = 0 for i = 1, 300 do n = n + i end end)() end
