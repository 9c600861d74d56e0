local t = require("yutu.test")

local function order(key, headers)
  return t.publish({ exchange = "sale", routing_key = key, headers = headers })
end

t.test("the first are admitted, the rest refused, each key by itself", function()
  t.settings({ admit = 3 })
  for _ = 1, 3 do t.equal(order("shoe"), nil) end
  for _ = 1, 5 do t.equal(order("shoe"), { verdict = "deny", reason = "sold out" }) end
  t.equal(order("hat"), nil)
  t.equal(t.publish({ exchange = "sale", routing_key = "shoe", vhost = "other" }), nil)
end)

t.test("other exchanges are none of its business", function()
  t.settings({ admit = 0 })
  t.equal(t.publish({ exchange = "orders", routing_key = "shoe" }), nil)
  t.equal(order("nothing").reason, "sold out")
end)

t.test("a header may be the key", function()
  t.settings({ admit = 1, header = "item", reason = "gone" })
  t.equal(order("x", { item = 17 }), nil)
  t.equal(order("y", { item = 17 }).reason, "gone")
  t.equal(order("y", { item = 18 }), nil)
  t.equal(order("y").reason, "the header 'item' is missing")
  t.settings({ header = "", reason = "sold out" })
end)

t.test("a buyer may be admitted once", function()
  t.settings({ admit = 2, buyer = "customer" })
  t.equal(order("bag", { customer = 1 }), nil)
  t.equal(order("bag", { customer = 1 }).reason, "once only")
  t.equal(order("bag").reason, "the header 'customer' is missing")
  t.equal(order("bag", { customer = 2 }), nil)
  t.equal(order("bag", { customer = 3 }).reason, "sold out")
  t.settings({ buyer = "" })
end)

t.test("a sale is over after its time", function()
  t.settings({ admit = 1, seconds = 60 })
  t.equal(order("cap"), nil)
  t.advance(59)
  t.equal(order("cap").reason, "sold out")
  t.advance(2)
  t.equal(order("cap"), nil)
end)
