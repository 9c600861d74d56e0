-- expect: instructions|time
-- A loop in a coroutine whose error is ignored.
while true do
  local co = coroutine.create(function() while true do end end)
  coroutine.resume(co)
end
