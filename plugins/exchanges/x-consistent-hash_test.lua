local t = require("yutu.test")

local function spread(exchange, make)
  local counts, places = {}, {}
  for i = 1, 3000 do
    local queue = exchange:route(make(i))[1]
    counts[queue] = (counts[queue] or 0) + 1
    places[i] = queue
  end
  return counts, places
end

local function by_key(i)
  return { routing_key = "key-" .. i }
end

t.test("weights decide how many messages a queue gets", function()
  local counts = spread(t.exchange("x", { bindings = { one = { key = "1" }, two = { key = "2" } } }), by_key)
  t.ok(math.abs(counts.one - 1000) < 150, "one got " .. counts.one)
end)

t.test("a new binding takes messages and moves no others", function()
  local exchange = t.exchange("x", { bindings = { a = { key = "1" }, b = { key = "1" }, c = { key = "1" } } })
  local _, before = spread(exchange, by_key)
  exchange:bind("d", { key = "1" })
  local _, after = spread(exchange, by_key)
  for i = 1, 3000 do
    t.ok(after[i] == before[i] or after[i] == "d", "moved from " .. before[i] .. " to " .. after[i])
  end
end)

t.test("equal headers meet again, whatever the key", function()
  local bindings = { a = { key = "1" }, b = { key = "1" }, c = { key = "1" } }
  local exchange = t.exchange("x", { arguments = { ["hash-header"] = "customer" }, bindings = bindings })
  local first = exchange:route({ routing_key = "x", headers = { customer = 17 } })
  t.equal(exchange:route({ routing_key = "y", headers = { customer = 17 } }), first)
  t.equal(#exchange:route({ routing_key = "z" }), 1)
end)

t.test("a property may be hashed", function()
  local bindings = { a = { key = "1" }, b = { key = "1" } }
  local exchange = t.exchange("x", { arguments = { ["hash-property"] = "message_id" }, bindings = bindings })
  local first = exchange:route({ routing_key = "x", message_id = "m1" })
  t.equal(exchange:route({ routing_key = "y", message_id = "m1" }), first)
end)

t.test("a binding whose key is no positive integer is refused", function()
  local exchange = t.exchange("x")
  for key, shown in pairs({
    [""] = "<<>>", ["1.5"] = '<<"1.5">>', many = '<<"many">>', ["0x10"] = '<<"0x10">>', ["1 "] = '<<"1 ">>',
    ['a"b\\\n'] = [[<<"a\"b\\\n">>]],
  }) do
    local _, reason = exchange:bind("q", { key = key })
    t.equal(reason, "The binding key must be an integer: " .. shown)
  end
  for _, key in ipairs({ "0", "-1" }) do
    local _, reason = exchange:bind("q", { key = key })
    t.equal(reason, "The binding key must be greater than 0")
  end
end)

t.test("header and property exclude each other", function()
  local both = { ["hash-header"] = "a", ["hash-property"] = "message_id" }
  local _, denial = t.exchange("x", { arguments = both })
  t.equal(denial.reason, "hash-header and hash-property are mutually exclusive")
  _, denial = t.exchange("x", { arguments = { ["hash-property"] = "app_id" } })
  t.equal(denial.reason, "Unsupported property: app_id")
  _, denial = t.exchange("x", { arguments = { ["hash-property"] = {} } })
  t.equal(denial.reason, "hash-property must be a string")
end)

t.test("without bindings a message is unroutable", function()
  t.equal(t.exchange("x"):route({ routing_key = "a" }), {})
end)
