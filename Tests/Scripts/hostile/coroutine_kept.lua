-- expect: memory|instructions|time
-- Coroutines that are kept.
local kept = {}
while true do
  kept[#kept + 1] = coroutine.create(function() local a, b, c, d, e, f = 1 end)
  coroutine.resume(kept[#kept])
end
