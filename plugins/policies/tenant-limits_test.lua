local t = require("yutu.test")

t.settings({
  rules = {
    { vhost = "acme", name = "tmp.*", arguments = { ["x-expires"] = 60000 } },
    { vhost = "acme", arguments = { ["x-max-length"] = 1000, ["x-overflow"] = "reject-publish" } },
    { tenant = "small", name = "*", arguments = { ["x-max-length-bytes"] = 1048576 } },
    { user = "guest", vhost = "closed", deny = "no queues here" },
  },
})

local function declared(definition) return t.declare("queue", definition) end

t.test("the first rule that fits sets its arguments", function()
  t.equal(declared({ vhost = "acme", name = "q" }), {
    verdict = "change", arguments = { ["x-max-length"] = 1000, ["x-overflow"] = "reject-publish" },
  })
  t.equal(declared({ vhost = "acme", name = "tmp.1" }).arguments, { ["x-expires"] = 60000 })
end)

t.test("a client may ask for less, and not for more", function()
  local function length(asked)
    local arguments = { ["x-max-length"] = asked }
    return declared({ vhost = "acme", name = "q", arguments = arguments }).arguments["x-max-length"]
  end
  t.equal(length(10), nil)
  t.equal(length(1000), nil)
  t.equal(length(1001), 1000)
  t.equal(length(-1), 1000)
  t.equal(length("many"), 1000)
end)

t.test("what is no number is set, whatever the client asks for", function()
  local verdict = declared({
    vhost = "acme", name = "q", arguments = { ["x-max-length"] = 5, ["x-overflow"] = "drop-head" },
  })
  t.equal(verdict.arguments, { ["x-overflow"] = "reject-publish" })
end)

t.test("a queue that asks for no more than its rule is left alone", function()
  t.equal(declared({ vhost = "acme", name = "tmp.1", arguments = { ["x-expires"] = 1000 } }), nil)
end)

t.test("users have tenants if their authenticator says so", function()
  t.equal(declared({ identity = { tenant = "small" } }).arguments, { ["x-max-length-bytes"] = 1048576 })
  t.equal(declared({ identity = { tenant = "large" } }), nil)
end)

t.test("a rule may refuse", function()
  t.equal(declared({ vhost = "closed" }), { verdict = "deny", reason = "no queues here" })
  t.equal(declared({ vhost = "closed", user = "ann" }), nil)
end)

t.test("exchanges have no such limits", function()
  t.equal(t.declare("exchange", { vhost = "acme", name = "e" }), nil)
end)
