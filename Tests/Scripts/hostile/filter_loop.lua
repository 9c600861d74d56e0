-- expect: instructions|time
-- A filter that loops, and catches what ends it.
return { filters = { publish = { run = function() while true do pcall(function() while true do end end) end end } } }
