-- expect: instructions|time|memory
-- Each control character becomes four, one by one.
local s = ("\1"):rep(1000000)
while true do string.format("%q", s) end
