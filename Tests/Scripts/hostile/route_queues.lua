-- expect: runtime
-- Sixty thousand queues for each message, for the price of a return.
local kept, last, call = {}, queue("q"), nil
for i = 1, 60000 do kept[i] = last end
return { exchange = { route = function(message, bindings) return kept end } }
