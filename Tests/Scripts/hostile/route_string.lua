-- expect: runtime
-- Returns a string.
local kept, last, call = {}, nil, nil
return { exchange = { route = function(message, bindings) return "queue" end } }
