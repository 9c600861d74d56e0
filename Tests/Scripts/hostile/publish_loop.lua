-- expect: runtime
-- A message to be published after it, without end.
return { exchange = { route = function(message) while true do publish(message, { queue = "q" }) end end } }
