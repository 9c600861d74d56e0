-- expect: memory|instructions|time
-- Keeps what it sees until no memory is left.
local kept, last, call = {}, nil, nil
return { exchange = { route = function(message, bindings) for i = 1, 10000 do kept[#kept + 1] = message.body .. i end end } }
