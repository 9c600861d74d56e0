-- expect: instructions|time
-- Megabytes compared ten thousand times in one call of sort.
local t, s = {}, ("x"):rep(4000000)
for i = 1, 1000 do t[i] = s end
table.sort(t)
