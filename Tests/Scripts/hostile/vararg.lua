-- expect: instructions|time|memory|runtime
-- Arguments without end.
local function f(...) return f(1, ...) end
return f()
