-- expect: instructions|time|memory|runtime
-- A change whose table takes longer to write than the filter had.
local big = {}
for i = 1, 20000 do big["field" .. i] = ("x"):rep(50) end
return { filters = { publish = { run = function() return change{ headers = big } end } } }
