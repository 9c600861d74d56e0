-- expect: runtime
-- Writes to the message.
local kept, last, call = {}, nil, nil
return { exchange = { route = function(message, bindings) message.body = "other" end } }
