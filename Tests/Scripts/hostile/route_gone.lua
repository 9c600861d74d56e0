-- expect: runtime
-- Returns the selection of an earlier call.
local kept, last, call = {}, nil, nil
return { exchange = { route = function(message, bindings) last = last or bindings:all() if call then return last end call = true end } }
