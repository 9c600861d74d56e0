-- expect: instructions|time|memory|runtime
-- Reads a number of a million digits.
local digits = ("1"):rep(1000000)
local n = 0
while true do n = n + digits * 1.0 end
