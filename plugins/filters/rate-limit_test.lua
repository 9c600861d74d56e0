local t = require("yutu.test")

local defaults = { rate = 100, burst = 200, by = "user", header = "", action = "throttle" }

local function with(values, f)
  t.settings(defaults)
  t.settings(values)
  f()
  t.advance(1e6)
end

t.now(0)

t.test("beyond the burst a message is refused, until time has gone by", function()
  with({ rate = 2, burst = 3, action = "deny" }, function()
    for _ = 1, 3 do t.equal(t.publish({}), nil) end
    local reason = "more than 2 messages a second; the next in 0.500 seconds"
    t.equal(t.publish({}), { verdict = "deny", reason = reason })
    t.advance(0.5)
    t.equal(t.publish({}), nil)
    t.equal(t.publish({}).verdict, "deny")
  end)
end)

t.test("or it is dropped", function()
  with({ rate = 1, burst = 1, action = "drop" }, function()
    t.equal(t.publish({}), nil)
    t.equal(t.publish({}).verdict, "drop")
  end)
end)

t.test("a publisher that waits as it is told keeps exactly to the rate", function()
  with({ rate = 10, burst = 5 }, function()
    local sent, waited = 0, 0
    while waited < 10 do
      local verdict = t.publish({ user = "u" })
      sent = sent + 1
      if verdict then
        t.equal(verdict.verdict, "throttle")
        t.advance(verdict.milliseconds / 1000)
        waited = waited + verdict.milliseconds / 1000
      end
    end
    t.ok(sent >= 104 and sent <= 106, "sent " .. sent)
  end)
end)

t.test("nobody waits longer than ten seconds at once", function()
  with({ rate = 0.01, burst = 1 }, function()
    t.equal(t.publish({}), nil)
    t.equal(t.publish({}).milliseconds, 10000)
  end)
end)

t.test("each user, virtual host, exchange, key or header has a bucket", function()
  for by, messages in pairs({
    user = { { user = "a" }, { user = "b" } },
    vhost = { { vhost = "a" }, { vhost = "b" } },
    exchange = { { exchange = "a" }, { exchange = "b" } },
    routing_key = { { routing_key = "a" }, { routing_key = "b" } },
    header = { { headers = { h = "a" } }, { headers = { h = 5 } }, { headers = { h = { "a" } } } },
  }) do
    with({ rate = 1, burst = 1, by = by, header = "h", action = "deny" }, function()
      for _, message in ipairs(messages) do t.equal(t.publish(message), nil) end
      for _, message in ipairs(messages) do t.equal(t.publish(message).verdict, "deny") end
    end)
  end
end)

t.test("exchanges that are not named have no limit", function()
  with({ rate = 1, burst = 1, action = "deny", exchanges = { "orders.*", "sale" } }, function()
    for _ = 1, 3 do t.equal(t.publish({ exchange = "other" }), nil) end
    t.equal(t.publish({ exchange = "orders.eu" }), nil)
    t.equal(t.publish({ exchange = "sale" }).verdict, "deny")
  end)
  t.settings({ exchanges = { "*" } })
end)

t.test("the default exchange is one of all", function()
  with({ rate = 1, burst = 1, action = "deny" }, function()
    t.equal(t.publish({ exchange = "" }), nil)
    t.equal(t.publish({ exchange = "" }).verdict, "deny")
  end)
end)

t.test("long keys are told apart", function()
  with({ rate = 1, burst = 1, action = "deny", by = "header", header = "h" }, function()
    t.equal(t.publish({ headers = { h = ("x"):rep(3000) .. "1" } }), nil)
    t.equal(t.publish({ headers = { h = ("x"):rep(3000) .. "2" } }), nil)
  end)
end)

t.test("a user in another virtual host is another one, and no header is no limit", function()
  with({ rate = 1, burst = 1, action = "deny" }, function()
    t.equal(t.publish({ vhost = "a" }), nil)
    t.equal(t.publish({ vhost = "b" }), nil)
  end)
  with({ rate = 1, burst = 1, by = "header", header = "h", action = "deny" }, function()
    for _ = 1, 3 do t.equal(t.publish({}), nil) end
  end)
end)
