-- expect: instructions|time
-- A plain search that is quadratic.
local text = ("a"):rep(400000)
return text:find(("a"):rep(200000) .. "b", 1, true)
