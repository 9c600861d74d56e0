-- expect: runtime
-- Misspells a field.
local kept, last, call = {}, nil, nil
return { exchange = { route = function(message, bindings) return message.header end } }
