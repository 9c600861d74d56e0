local t = require("yutu.test")

t.test("each binding gets its part, and a message goes to one only", function()
  local exchange = t.exchange("x-random", { bindings = { a = {}, b = {}, c = {} } })
  local counts = { a = 0, b = 0, c = 0 }
  for _ = 1, 3000 do
    local to = exchange:route({})
    t.equal(#to, 1)
    counts[to[1]] = counts[to[1]] + 1
  end
  for queue, count in pairs(counts) do
    t.ok(count > 800 and count < 1200, queue .. " got " .. count)
  end
end)

t.test("without bindings a message is unroutable", function()
  t.equal(t.exchange("x-random"):route({}), {})
end)
