-- expect: instructions|time|memory
-- Many results, again and again.
while true do local n = select("#", table.unpack({}, 1, 200000)) end
