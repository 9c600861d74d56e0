-- expect: instructions|time
-- UUIDs without end.
while true do uuid() end
