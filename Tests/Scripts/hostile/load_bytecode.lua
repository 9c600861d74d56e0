-- expect: runtime
-- Bytecode.
local f, reason = load("\27Lua")
if not f then error(reason) end
error("bytecode was loaded" .. string.rep("!", 1e10))
