-- expect: instructions|time
-- A million keys, then all of them in a list.
local d = shared("d", 1000000)
for i = 1, 1e6 do d:set("k" .. i, i, 1e-6) end
while true do d:keys(10000) d:count() end
