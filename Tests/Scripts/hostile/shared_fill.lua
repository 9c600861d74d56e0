-- expect: instructions|time|runtime
-- Values of a megabyte until the memory of all is full.
local d, x = shared("d", 1000000), ("x"):rep(1 << 20)
for i = 1, 1e9 do shared("d" .. i % 100):set("k" .. i, x) end
