/// `yutu.test`: one plugin with every hook, and tests of it that use every function there is.

import Testing

@Suite struct `The tests that stand beside a plugin` {
  @Test func `reach every hook, and play clock and network to it`() throws {
    let workshop = try Workshop()
    try workshop.write("some/every-hook.lua", everyHook)
    try workshop.write("some/every-hook_test.lua", everyHookTest)
    workshop.reload()
    #expect(workshop.host.statuses.map(\.problem) == [nil])
  }

  @Test(arguments: [
    ("t.equal(t.publish({ exchange = 'xy', body = '1' }).reason, 1)", "attempt to index a nil value"),
    ("t.equal(t.declare('queue').arguments.kind, 'exchange')", "expected \"exchange\", got \"queue\""),
    ("t.fails(function() end)", "expected an error"), ("t.event('queue_created') t.timer(2)", "no timer 2"),
  ])
  func `keep a plugin out when one fails, and say which`(_ check: String, _ reason: String) throws {
    let workshop = try Workshop()
    try workshop.write("some/every-hook.lua", everyHook)
    try workshop.write(
      "some/every-hook_test.lua",
      "local t = require('yutu.test')\nt.test('a check', function() \(check) end)")
    workshop.reload()
    let problem = try #require(workshop.problem("every-hook"))
    #expect(problem.contains(reason) && problem.contains("in 'a check' (1 of its tests failed)"))
  }
}

private let everyHook = #"""
  local count = 0
  local plugin = { api = 1, settings = { most = { default = 3 } } }
  plugin.filters = {
    publish = { match = { exchange = { "orders.*", "x?" } }, run = function(message)
      if message.routing_key == "bad" then message.nonsense = 1 end
      if message.routing_key == "read" then return message.nonsense end
      if message.routing_key == "wait" then sleep(1) end
      if message.routing_key == "text" then return "no" end
      if message.routing_key == "copy" then publish(message, { routing_key = "c" }) end
      if message.size > settings.most then return deny("size " .. message.size) end
    end },
    deliver = { run = function(message) return throttle(5) end },
  }
  plugin.matcher = { bind = function(a) if not a.n then return deny("no n") end return a.n end, match = function(h, n) return h.n == n end }
  plugin.authenticate = function(login)
    if login.user == "slow" then sleep(2) end
    local r, why = http.request({ url = "http://a" .. login.peer.address })
    if not r then return deny(why) end
    return allow({ tags = { r.body } })
  end
  plugin.sasl = { DANCE = function(login) local a = challenge("one") return allow({ user = a .. challenge("two") }) end }
  plugin.authorize = function(r) if r.operation == "connect" and r.name == "/" then return allow() end return deny(r.operation) end
  plugin.declare = function(kind, d) return change({ arguments = { kind = kind, type = d.type } }) end
  plugin.dead_letter = function(m, d) if d.count < 3 then return delay(d.count * 1000) end end
  plugin.events = { queue_created = function(e) count = count + 1 end }
  plugin.timers = { { every = 60, run = function() sleep(1) count = count + dns.resolve("a")[1] end } }
  plugin.save = function() return { count = count } end
  plugin.restore = function(s) count = s.count + 100 end
  return plugin
  """#

private let everyHookTest = #"""
  local t = require("yutu.test")
  t.test("filters", function()
    t.equal(t.publish({ exchange = "orders.eu", body = "1234" }), { verdict = "deny", reason = "size 4" })
    t.equal(t.publish({ exchange = "orders", body = "1234" }), nil)
    t.equal(t.publish({ exchange = "xy", body = "1234" }).reason, "size 4")
    t.equal(t.publish({ exchange = "xyz", body = "1234" }), nil)
    t.equal(t.publish({ exchange = "xy", body = "123" }), nil)
    t.settings({ most = 2 })
    t.equal(t.publish({ exchange = "xy", body = "123" }).reason, "size 3")
    local function key(k) return function() return t.publish({ exchange = "xy", routing_key = k }) end end
    t.fails(key("bad"), "a message cannot be changed; return change{...}")
    t.fails(key("read"), "a message has no field 'nonsense'")
    t.fails(key("wait"), "sleep waits, and this hook may not wait")
    t.fails(key("text"), "publish returned \"no\", which is no verdict")
    key("copy")()
    t.equal(t.published(), { { exchange = "xy", routing_key = "c", body = "", headers = {}, vhost = "/" } })
    t.equal(t.published(), {})
    t.fails(function() return t.deliver({}) end, "deliver cannot return throttle")
    t.fails(function() return t.enqueue({}) end, "no 'filters.enqueue'")
    t.fails(function() t.settings({ mst = 1 }) end, "unknown setting 'mst'")
    t.fails(function() t.publish({ nonsense = 1 }) end, "no field 'nonsense'")
  end)
  t.test("matcher", function()
    t.equal(t.matches({ n = 1 }, { n = 1 }), true)
    t.equal(t.matches({ n = 1 }, { n = 2 }), false)
    local m, d = t.matches({}, {})
    t.equal(m, nil)
    t.equal(d.reason, "no n")
  end)
  t.test("auth", function()
    t.fails(t.login, "t.http")
    t.http(function(r) t.equal(r.method, "GET") return { body = r.url } end)
    t.equal(t.login().tags, { "http://a127.0.0.1" })
    t.http(function(r) return nil, "down" end)
    local before = time.now()
    t.equal(t.login({ user = "slow", peer = { address = "::1" } }), { verdict = "deny", reason = "down" })
    t.ok(time.now() - before >= 2)
    local v, c = t.sasl("DANCE", {}, { "x", "y" })
    t.equal(v.user, "xy")
    t.equal(c, { "one", "two" })
    t.fails(function() t.sasl("DANCE", {}, { "x" }) end, "no response is left")
    t.equal(t.authorize({}).verdict, "allow")
    t.equal(t.authorize({ operation = "read" }).reason, "read")
  end)
  t.test("rest", function()
    t.equal(t.declare("queue"), { verdict = "change", arguments = { kind = "queue" } })
    t.equal(t.declare("exchange").arguments.type, "direct")
    t.equal(t.dead_letter({}, { count = 2 }), { verdict = "delay", milliseconds = 2000 })
    t.equal(t.dead_letter({}, { count = 3 }), nil)
    t.event("queue_created", {})
    t.now(1000)
    t.equal(time.now(), 1000.0)
    t.equal(os.time(), 1000)
    t.dns(function() return { 10 } end)
    t.timer()
    t.equal(time.now(), 1001.0)
    t.advance(0.5)
    t.equal(time.now(), 1001.5)
    t.equal(t.reload(), { count = 11 })
    t.equal(t.reload(), { count = 111 })
  end)
  """#
