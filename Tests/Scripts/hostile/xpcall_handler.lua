-- expect: instructions|time
-- A handler that loops after an ordinary error.
xpcall(error, function() while true do end end)
