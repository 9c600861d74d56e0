local t = require("yutu.test")

local function send(id, more)
  local message = { exchange = "e", headers = { ["x-deduplication-header"] = id } }
  for name, value in pairs(more or {}) do message[name] = value end
  return t.publish(message)
end

t.test("a second message of an identifier is dropped", function()
  t.equal(send("a"), nil)
  t.equal(send("a"), { verdict = "drop", reason = "duplicate of 'a'" })
  t.equal(send("b"), nil)
  t.equal(send(17), nil)
  t.equal(send(17).reason, "duplicate of '17'")
end)

t.test("an identifier is forgotten after its time", function()
  t.equal(send("window"), nil)
  t.advance(59)
  t.equal(send("window").verdict, "drop")
  t.advance(2)
  t.equal(send("window"), nil)
end)

t.test("exchanges and virtual hosts have identifiers of their own", function()
  t.equal(send("own"), nil)
  t.equal(send("own", { exchange = "f" }), nil)
  t.equal(send("own", { vhost = "v" }), nil)
end)

t.test("messages without an identifier all pass", function()
  for _ = 1, 3 do
    t.equal(t.publish({}), nil)
    t.equal(send(null), nil)
  end
end)

t.test("a message that was delayed is not a duplicate of itself", function()
  t.equal(send("late"), nil)
  t.equal(send("late", { delayed = 1000 }), nil)
end)

t.test("the property message_id may be the identifier", function()
  t.settings({ header = "" })
  t.equal(t.publish({ message_id = "m1" }), nil)
  t.equal(t.publish({ message_id = "m1" }).verdict, "drop")
  t.equal(send("a"), nil)
  t.settings({ header = "x-deduplication-header" })
end)

t.test("other exchanges are none of its business", function()
  t.settings({ exchanges = { "pay*" } })
  for _ = 1, 2 do t.equal(send("twice", { exchange = "orders" }), nil) end
  t.equal(send("twice", { exchange = "payments" }), nil)
  t.equal(send("twice", { exchange = "payments" }).verdict, "drop")
  t.settings({ exchanges = { "*" } })
end)

t.test("long identifiers are told apart", function()
  local long = ("x"):rep(5000)
  t.equal(send(long .. "1"), nil)
  t.equal(send(long .. "2"), nil)
  t.equal(send(long .. "1").verdict, "drop")
end)
