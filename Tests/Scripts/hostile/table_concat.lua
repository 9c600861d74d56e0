-- expect: instructions|time
-- Concatenates 2^60 empty strings.
local t = setmetatable({}, {__index = function() return "" end})
table.concat(t, "", 1, 1 << 60)
