-- expect: instructions|time
-- The greatest of many very long numbers.
local t, s = {}, ("1"):rep(4000000)
for i = 1, 240 do t[i] = s end
while true do math.max(table.unpack(t)) end
