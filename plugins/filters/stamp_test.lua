local t = require("yutu.test")

t.now(1700000000.25)

t.test("a message gets its user and the time in milliseconds", function()
  local verdict = t.publish({ user = "ann", headers = { ["x-user"] = "forged", other = 1 } })
  t.equal(verdict, {
    verdict = "change", headers = { ["x-user"] = "ann", ["x-time"] = 1700000000250 }, remove = {},
  })
end)

t.test("the time has other formats", function()
  t.settings({ format = "iso" })
  t.equal(t.publish({}).headers["x-time"], "2023-11-14T22:13:20.250Z")
  t.settings({ format = "timestamp" })
  t.equal(t.publish({}).headers["x-time"], { timestamp = 1700000000 })
  t.settings({ format = "milliseconds" })
end)

t.test("headers have the names that the operator gives them", function()
  t.settings({ user = "", time = "", node = "x-node", node_name = "jade" })
  t.equal(t.publish({}).headers, { ["x-node"] = "jade" })
end)

t.test("the tenant of a user's identity is stamped, and a forged one is removed", function()
  t.settings({ node = "", tenant = "x-tenant" })
  t.equal(t.publish({ identity = { tenant = "acme" } }).headers, { ["x-tenant"] = "acme" })
  t.equal(t.publish({}), { verdict = "change", headers = {}, remove = { "x-tenant" } })
  t.settings({ tenant = "" })
end)

t.test("exchanges that are not named have no stamps", function()
  t.settings({ exchanges = { "orders" } })
  t.equal(t.publish({ exchange = "other" }), nil)
  t.equal(t.publish({ exchange = "orders" }).verdict, "change")
  t.settings({ exchanges = { "*" } })
end)

t.test("a message that was delayed keeps its first stamp", function()
  t.equal(t.publish({ delayed = 1000 }), nil)
end)
