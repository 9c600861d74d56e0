-- expect: instructions|time
-- The same with wrap.
while true do pcall(coroutine.wrap(function() while true do end end)) end
