-- expect: instructions|time
-- A comparator that is C itself.
local t, a, b = {}, ("x"):rep(4000000), ("x"):rep(4000000)
for i = 1, 2000 do t[i] = i % 2 == 0 and a or b end
while true do pcall(table.sort, t, rawequal) end
