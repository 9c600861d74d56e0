-- expect: syntax
-- No Lua at all.
local x = = 1
