local t = require("yutu.test")

local shards = { a = "", b = "", c = "", d = "" }

t.test("each binding gets its part, and a message goes to one only", function()
  local exchange, counts = t.exchange("x-modulus-hash", { bindings = shards }), {}
  for i = 1, 4000 do
    local to = exchange:route({ routing_key = "key-" .. i })
    t.equal(#to, 1)
    counts[to[1]] = (counts[to[1]] or 0) + 1
  end
  for queue in pairs(shards) do
    t.ok(math.abs(counts[queue] - 1000) < 150, queue .. " got " .. counts[queue])
  end
end)

t.test("equal keys meet again, in whatever order the bindings were made", function()
  local one, other = t.exchange("x-modulus-hash"), t.exchange("x-modulus-hash")
  for _, queue in ipairs({ "a", "b", "c" }) do one:bind(queue, "k") end
  for _, queue in ipairs({ "c", "a", "b" }) do other:bind(queue, "k") end
  for i = 1, 100 do
    local message = { routing_key = "key-" .. i }
    t.equal(other:route(message), one:route(message))
  end
end)

t.test("a queue that is bound by two keys counts twice", function()
  local exchange, counts = t.exchange("x-modulus-hash"), { a = 0, b = 0 }
  for _, binding in ipairs({ { "a", "1" }, { "a", "2" }, { "b", "1" } }) do
    exchange:bind(binding[1], binding[2])
  end
  for i = 1, 3000 do
    local queue = exchange:route({ routing_key = "key-" .. i })[1]
    counts[queue] = counts[queue] + 1
  end
  t.ok(math.abs(counts.a - 2000) < 200, "a got " .. counts.a)
end)

t.test("without bindings a message is unroutable", function()
  t.equal(t.exchange("x-modulus-hash"):route({ routing_key = "a" }), {})
end)
