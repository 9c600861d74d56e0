-- expect: instructions|time
-- Numbers that are megabytes of blanks, behind the first eight.
local t, s = { 65, 65, 65, 65, 65, 65, 65, 65 }, (" "):rep(4000000) .. "65"
for i = 9, 240 do t[i] = s end
while true do string.char(table.unpack(t)) end
