-- expect: instructions|time
-- Counts a million characters, for ever.
local s = ("x"):rep(1000000)
while true do utf8.len(s) end
