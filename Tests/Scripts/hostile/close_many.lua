-- expect: instructions|time
-- Thousands of them.
local meta = {__close = function() while true do end end}
local function f(n)
  local a <close> = setmetatable({}, meta)
  return f(n + 1) + 1
end
f(1)
