-- expect: instructions|time|memory
-- A date, half a million times in one call.
while true do os.date(("%H"):rep(500000)) end
