-- expect: instructions|time
-- Sums of three megabytes, without end.
local x = ("x"):rep(3 << 20)
while true do hash.sha256(x) hmac.sha1(x, x) end
