local t = require("yutu.test")

local function last(target, key)
  target:bind("q" .. key, key)
  local found = t.published()
  t.ok(#found <= 1, "more than one value")
  return found[1] and found[1].body
end

t.test("a message goes to the bindings of its key", function()
  local target = t.exchange("direct", { bindings = { a = "a", b = "b" } })
  t.equal(target:route({ routing_key = "a" }), { "a" })
  t.equal(target:route({ routing_key = "c" }), {})
end)

t.test("a new queue gets the last message of its key, as it was", function()
  local target = t.exchange("last")
  for i = 1, 3 do
    target:route({ exchange = "last", routing_key = "a", body = "a" .. i, message_id = "m" .. i })
  end
  target:route({ exchange = "last", routing_key = "b", body = "b" })
  target:bind("new", "a")
  t.equal(t.published(), {
    {
      exchange = "last", routing_key = "a", body = "a3", headers = {}, message_id = "m3", queue = "new",
      vhost = "/",
    },
  })
  t.equal(last(target, "b"), "b")
  t.equal(last(target, "c"), nil)
end)

t.test("a binding of before gets nothing, an exchange gets it published to it", function()
  local target = t.exchange("kinds")
  target:route({ exchange = "kinds", routing_key = "k", body = "1" })
  target:bind("old", { key = "k", is_new = false })
  t.equal(t.published(), {})
  target:bind("next", { key = "k", destination_kind = "exchange" })
  t.equal(t.published(), { { exchange = "next", routing_key = "k", body = "1", headers = {}, vhost = "/" } })
end)

t.test("each exchange has values of its own", function()
  local one, other = t.exchange("one"), t.exchange("other")
  one:route({ routing_key = "a", body = "1" })
  t.equal(last(other, "a"), nil)
end)

t.test("keys are bounded, and a key that is used stays", function()
  t.settings({ max_keys = 3 })
  local target = t.exchange("keys")
  for _, key in ipairs({ "a", "b", "c", "a", "d" }) do target:route({ routing_key = key, body = key }) end
  for key, value in pairs({ a = "a", c = "c", d = "d" }) do t.equal(last(target, key), value) end
  t.equal(last(target, "b"), nil)
  t.settings({ max_keys = 10000 })
end)

t.test("one key that is used again and again takes the room of one", function()
  local target = t.exchange("again")
  target:route({ routing_key = "still", body = "here" })
  for i = 1, 2000 do target:route({ routing_key = "a", body = tostring(i) }) end
  t.equal(last(target, "a"), "2000")
  t.equal(last(target, "still"), "here")
end)

t.test("bytes are bounded", function()
  t.settings({ max_bytes = 4000 })
  local target = t.exchange("bytes")
  for i = 1, 10 do target:route({ routing_key = "k" .. i, body = ("x"):rep(300) }) end
  t.equal(last(target, "k1"), nil)
  t.equal(last(target, "k10"), ("x"):rep(300))
  target:route({ routing_key = "k11", body = ("x"):rep(1001) })
  t.equal(last(target, "k11"), nil)
  t.settings({ max_bytes = 4194304 })
end)

t.test("values outlive a reload, and go with their exchange", function()
  local target = t.exchange("reload")
  target:route({ routing_key = "a", body = "1" })
  t.reload()
  t.equal(last(target, "a"), "1")
  t.event("exchange_deleted", { vhost = "/", name = "reload" })
  t.equal(last(target, "a"), nil)
end)
