-- expect: runtime
-- State that holds itself, deep down.
local t = {}
for i = 1, 50 do t = { t } end
return { save = function() local s = { t } t[2] = s return s end }
