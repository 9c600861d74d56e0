-- expect: instructions|time
-- Sorts for ever.
local t = {}
for i = 1, 30000 do t[i] = (i * 7919) % 30011 end
while true do table.sort(t) t[1], t[30000] = t[30000], t[1] end
