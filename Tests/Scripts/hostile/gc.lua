-- expect: runtime
-- A finalizer that loops.
setmetatable({}, {__gc = function() while true do end end})
