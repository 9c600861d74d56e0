-- expect: runtime
-- Sorts what is not there.
table.sort(setmetatable({}, {__len = function() return 1 << 30 end}))
