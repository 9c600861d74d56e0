-- expect: instructions|time
-- A global name that is sought through 180 functions of 199 locals each, twelve thousand times.
local parts = {}
for i = 1, 180 do parts[i] = "local function f() local " .. ("a,"):rep(198) .. "a " end
local text = table.concat(parts) .. ("x=x "):rep(12000) .. (" end"):rep(180)
while true do load(text) end
