-- expect: runtime|instructions|time|memory
-- Coroutines in coroutines.
local function deep() return coroutine.wrap(deep)() end
deep()
local function again() while true do pcall(deep) end end
again()
