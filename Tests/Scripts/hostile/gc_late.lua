-- expect: instructions|time
-- A finalizer that comes late: it never runs.
local meta = {}
for i = 1, 100 do setmetatable({}, meta) end
meta.__gc = function() while true do end end
while true do local garbage = {} end
