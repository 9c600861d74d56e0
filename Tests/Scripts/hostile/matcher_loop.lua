-- expect: instructions|time
-- A matcher that loops.
return { matcher = { match = function(headers) while true do pcall(function() while headers do end end) end end } }
