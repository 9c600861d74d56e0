-- expect: instructions|time|memory
-- Big strings made where another thread's hook does not see it.
local a, b
coroutine.wrap(function() a, b = ("x"):rep(3000000) .. "a", ("x"):rep(3000000) .. "b" end)()
local n = 0
while true do if a < b then n = n + 1 end end
