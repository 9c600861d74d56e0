-- expect: runtime|time|instructions
-- Headers that are larger than a string may be.
local x, headers = ("x"):rep(4 << 20), {}
for i = 1, 20 do headers["h" .. i] = x end
publish{ queue = "q", headers = headers }
