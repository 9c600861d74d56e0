-- expect: instructions|time
-- Loops on each message.
local kept, last, call = {}, nil, nil
return { exchange = { route = function(message, bindings) while true do end end } }
