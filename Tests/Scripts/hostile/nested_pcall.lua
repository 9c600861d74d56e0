-- expect: instructions|time
-- Pcall in pcall, each goes on after the limit.
local function f() pcall(f) while true do end end
f()
