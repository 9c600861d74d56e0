-- expect: instructions|time
-- Many small ones, which a big one throws out at once, without end.
local d, x = shared("d", 1000000), ("x"):rep(1 << 20)
while true do
  for i = 1, 1000 do d:set("k" .. i, i) end
  for i = 1, 100 do d:set("big" .. i, x) end
end
