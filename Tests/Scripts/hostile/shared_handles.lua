-- expect: instructions|time|runtime
-- Names without end that hold nothing.
local kept = {}
for i = 1, 1e9 do kept[i % 5000] = shared("n" .. i) end
