-- expect: runtime
-- The metatable of all strings.
getmetatable("").__index = nil
