-- expect: instructions|time
-- base64 back and forth without end.
local x = ("x"):rep(100000)
while true do x = base64.decode(base64.encode(x)) end
