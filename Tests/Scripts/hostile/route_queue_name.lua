-- expect: runtime
-- A queue's name of a megabyte, many times over.
local kept, last, call = {}, queue(("x"):rep(1000000)), nil
for i = 1, 4000 do kept[i] = last end
return { exchange = { route = function(message, bindings) return kept end } }
