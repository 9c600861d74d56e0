-- expect: instructions|time|runtime
-- Names without end.
for i = 1, 1e9 do shared("n" .. i):set("k", i) end
