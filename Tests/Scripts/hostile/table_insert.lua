-- expect: instructions|time
-- A length of 2^60.
table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 1)
