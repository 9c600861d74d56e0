-- expect: instructions|time
-- Variables whose closing loops.
local function closer() return setmetatable({}, {__close = function() while true do end end}) end
local function f()
  local a <close> = closer()
  local b <close> = closer()
  local c <close> = closer()
  error("x")
end
while true do pcall(f) end
