local t = require("yutu.test")

t.settings({
  max_body = 10, max_headers = 2, max_key = 5, exchanges = { ["big.*"] = 20, ["big.small"] = 5, ["*.x"] = 3 },
})

local function send(exchange, bytes) return t.publish({ exchange = exchange, body = ("x"):rep(bytes) }) end

t.test("a body may have so many bytes", function()
  t.equal(send("e", 10), nil)
  t.equal(send("e", 11), { verdict = "deny", reason = "a body of 11 bytes; at most 10" })
end)

t.test("an exchange may have a limit of its own, the longest glob that matches", function()
  t.equal(send("big.one", 20), nil)
  t.equal(send("big.one", 21).reason, "a body of 21 bytes; at most 20")
  t.equal(send("big.small", 6).reason, "a body of 6 bytes; at most 5")
  t.equal(send("a.x", 4).reason, "a body of 4 bytes; at most 3")
end)

t.test("headers and the key have limits", function()
  t.equal(t.publish({ headers = { a = 1, b = 2 }, routing_key = "12345" }), nil)
  t.equal(t.publish({ headers = { a = 1, b = 2, c = 3 } }).reason, "3 headers; at most 2")
  t.equal(t.publish({ routing_key = "123456" }).reason, "a routing key of 6 bytes; at most 5")
end)
