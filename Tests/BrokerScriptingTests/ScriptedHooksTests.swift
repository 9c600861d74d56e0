/// Hooks beside exchange types, each through a plugin's file and the core's seams.

import AMQPWire
import BrokerCore
import BrokerTestKit
import Foundation
import LuaRuntime
import Testing

@testable import BrokerScripting

extension Workshop {
  /// A plugin whose table has this inside.
  func plugin(_ name: String, _ inside: String, before: String = "") throws {
    try write("any/\(name).lua", "\(before)\nreturn { api = 1, \(inside) }\n")
  }

  /// Loads what the folder holds; complains of what is not put in force.
  func load() throws {
    guard let changes = loader.changes() else { return }
    let survey = host.survey(for: changes)
    while true {
      guard let snapshot = survey.advance() else { continue }
      changes.prepare(snapshot)
      break
    }
    let report = host.apply(changes)
    #expect(report.problems == [:])
  }

  func queue(_ name: ByteString, _ arguments: FieldTable = [:]) throws -> Queue {
    try vhost.declare(QueueDefinition(name: name, arguments: arguments), by: Identity(name: "alice"))
  }

  @discardableResult
  func send(
    _ body: String, to exchange: ByteString = "", key: ByteString = "", headers: FieldTable? = nil
  ) throws -> VirtualHost.Published {
    defer { broker.runLater() }
    var properties = BasicProperties()
    properties.headers = headers
    return try vhost.publish(
      .of(body, exchange: exchange, key: key, properties: properties), to: try vhost.exchange(exchange),
      by: Identity(name: "alice", attributes: ["tenant": "acme"]))
  }

  func pass(seconds: Double) {
    clock.nanoseconds += UInt64(seconds * 1e9)
    broker.deadlines.runDue()
    broker.runLater()
  }

  func all(in name: ByteString) throws -> [Message] {
    let queue = try vhost.queue(name)
    let consumer = Consumer(
      tag: "t", queue: queue, noAck: true, deliveries: Deliveries(), outlet: Collector())
    var messages: [Message] = []
    while case .message(let shown, _, _) = queue.get(consumer) { messages.append(shown) }
    return messages
  }

  func texts(in name: ByteString) throws -> [String] { try all(in: name).map(\.bodyText) }
}

private func refusal(_ work: () throws -> Void) -> String? {
  do {
    try work()
    return nil
  } catch {
    return (error as? ProtocolError)?.text
  }
}

@Suite struct `Filters in Lua` {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    _ = try shop.queue("q")
  }

  private func filter(_ run: String, stage: String = "publish", match: String = "", more: String = "") throws
  {
    let match = match.isEmpty ? "" : "match = { \(match) },"
    try shop.plugin("f", "filters = { \(stage) = { \(match) run = function(message) \(run) end } } \(more)")
    try shop.load()
  }

  @Test func `change headers, properties, key and body, and leave the rest byte for byte`() throws {
    _ = try shop.queue("other")
    try filter(
      """
      return change { headers = { a = 2, new = "x" }, remove = { "gone" }, routing_key = "other",
        body = message.body .. "!", priority = 7, app_id = "me" }
      """)
    try shop.send("m", key: "q", headers: ["a": .int8(1), "small": .int8(5), "gone": true])
    let message = try #require(try shop.all(in: "other").first)
    #expect(message.bodyText == "m!")
    #expect(message.headerTable() == ["a": .int64(2), "small": .int8(5), "new": "x"])
    let properties = try BasicProperties(message.properties)
    #expect(properties.priority == 7)
    #expect(properties.appID == "me")
  }

  @Test func `deny, drop and delay`() throws {
    try filter(
      """
      if message.body == "deny" then return deny("not you, " .. message.user .. " of " .. message.identity.tenant) end
      if message.body == "drop" then return drop() end
      if message.body == "delay" then return delay(100) end
      """)
    #expect(refusal { try shop.send("deny", key: "q") } == "not you, alice of acme")
    for body in ["drop", "delay", "pass"] { try shop.send(body, key: "q") }
    #expect(try shop.texts(in: "q") == ["pass"])
    shop.pass(seconds: 0.2)
    #expect(try shop.texts(in: "q") == ["delay"])
  }

  @Test(arguments: ["publish", "enqueue", "deliver"])
  func `delay and change at once`(stage: String) throws {
    try filter(
      """
      if shared("late"):add(message.body, true) then return delay(100, { headers = { late = true }, priority = 3 }) end
      """, stage: stage)
    try shop.send("m", key: "q", headers: ["small": .int8(5)])
    #expect(try shop.all(in: "q").isEmpty)
    shop.pass(seconds: 0.2)
    let message = try #require(try shop.all(in: "q").first)
    #expect(message.bodyText == "m")
    #expect(message.headerTable() == ["small": .int8(5), "late": true])
    #expect(try BasicProperties(message.properties).priority == 3)
  }

  @Test(arguments: [
    (#"delay(1, { queue = "q" })"#, "a message has no field 'queue' that can be changed"),
    (#"delay(1, { headers = { f = print } })"#, "a field may not hold a function"),
    (#"delay(1, 2)"#, "table expected, got number"),
  ])
  func `fail if a delay changes what cannot be`(verdict: String, problem: String) throws {
    try filter("return \(verdict)")
    let text = try #require(refusal { try shop.send("m", key: "q") })
    #expect(text.contains(problem), "\(text)")
  }

  @Test func `are asked only for what they match`() throws {
    _ = try shop.queue("orders")
    try shop.vhost.bind(
      source: try shop.vhost.exchange("amq.fanout"), to: .queue(try shop.vhost.queue("q")), key: "",
      arguments: [:])
    try filter(#"return deny("no")"#, match: #"vhost = "/", exchange = { "amq.f*", "x" }"#)
    #expect(refusal { try shop.send("m", key: "q") } == nil)
    #expect(refusal { try shop.send("m", to: "amq.fanout") } == "no")
  }

  @Test(arguments: [
    ("return { exchange = settings.names }", ["refused", "passed"]), ("return nil", ["refused", "refused"]),
    ("return false", ["passed", "passed"]), ("return { exchange = {} }", ["passed", "passed"]),
    ("return { exchange = settings.names, vhost = 'other' }", ["passed", "passed"]),
  ])
  func `are for what a function of the settings says`(match: String, outcomes: [String]) throws {
    try shop.plugin(
      "f",
      """
      settings = { names = { default = { "amq.f*" }, type = "list", about = "exchanges" } },
      filters = { publish = {
        match = function(settings) \(match) end, run = function() return deny("no") end,
      } }
      """)
    try shop.load()
    let found = ["amq.fanout", "amq.direct"].map { (name: ByteString) in
      refusal { try shop.send("m", to: name) } == nil ? "passed" : "refused"
    }
    #expect(found == outcomes)
  }

  @Test(arguments: [
    ("error('no globs')", "f.lua:2: no globs"), ("return true", "filters.publish.match() is a boolean"),
    ("return { queue = 'q' }", "unknown field 'filters.publish.match().queue'"),
    ("while true do end", "limit of"),
  ])
  func `are not put in force if that function fails`(match: String, problem: String) throws {
    try shop.plugin("f", "filters = { publish = { match = function() \(match) end, run = print } }")
    let found = shop.loader.changes()
    let changes = try #require(found)
    let reason = shop.host.apply(changes).problems["f"] ?? ""
    #expect(reason.contains(problem), "\(reason)")
  }

  @Test func `that fail refuse, and say where; on_error lets pass`() throws {
    try filter(#"error("oops")"#)
    #expect(refusal { try shop.send("m", key: "q") } == "filter 'f' failed: any/f.lua:2: oops")
    try filter(#"error("oops")"#, more: #", on_error = "pass""#)
    #expect(refusal { try shop.send("m", key: "q") } == nil)
  }

  @Test func `that return what is no verdict, or change what nobody has, are failures`() throws {
    try filter("return 1")
    #expect(refusal { try shop.send("m", key: "q") }?.contains("returned a number") == true)
    try filter("return change { colour = 1 }")
    #expect(refusal { try shop.send("m", key: "q") }?.contains("'colour'") == true)
  }

  @Test func `see the queue on enqueue, and decide for it alone`() throws {
    try filter(
      #"if message.queue == "q" then return change { body = "for " .. message.queue } end"#, stage: "enqueue",
      match: #"queue = "q*""#)
    try shop.send("m", key: "q")
    #expect(try shop.texts(in: "q") == ["for q"])
  }

  @Test func `on deliver change only what is seen, and cannot throttle`() throws {
    try filter(#"return change { body = "***" }"#, stage: "deliver")
    try shop.send("secret", key: "q")
    #expect(try shop.texts(in: "q") == ["***"])
    try filter("return throttle(5)", stage: "deliver")
    try shop.send("m", key: "q")
    #expect(try shop.texts(in: "q") == [])
  }

  @Test func `publish copies and messages of their own`() throws {
    _ = try shop.queue("copies")
    _ = try shop.queue("own")
    try filter(
      """
      publish(message, { exchange = "", routing_key = "copies", headers = { copy = true } })
      publish { queue = "own", exchange = "x", routing_key = "k", body = "hello", priority = 3 }
      """, match: #"exchange = """#)
    // Its own copy passes the filter too, so it copies until the hops are used up.
    try shop.send("m", key: "q")
    let copies = try shop.all(in: "copies")
    #expect(copies.count == Later.mostHops)
    #expect(copies.first?.headerTable() == ["copy": true])
    let own = try #require(try shop.all(in: "own").first)
    #expect(ByteString(own.exchange) == "x")
    #expect(own.bodyText == "hello")
  }
}

@Suite struct `Other hooks in Lua` {
  private let shop: Workshop

  init() throws { shop = try Workshop { $0.clientExpressions = true } }

  @Test func `a matcher decides for bindings that name it`() throws {
    try shop.plugin(
      "above",
      """
      matcher = {
        bind = function(arguments)
          if not math.type(arguments.min) then return deny("min must be a number") end
          return arguments.min
        end,
        match = function(headers, min) return (headers.price or 0) > min end,
      }
      """)
    try shop.load()
    _ = try shop.queue("q")
    let source = try shop.vhost.exchange("amq.headers")
    let queue = try shop.vhost.queue("q")
    #expect(
      refusal {
        try shop.vhost.bind(source: source, to: .queue(queue), key: "", arguments: ["x-match": "above"])
      } == "min must be a number")
    try shop.vhost.bind(
      source: source, to: .queue(queue), key: "", arguments: ["x-match": "above", "min": 10])
    try shop.send("dear", to: "amq.headers", headers: ["price": 11])
    try shop.send("cheap", to: "amq.headers", headers: ["price": 10])
    #expect(try shop.texts(in: "q") == ["dear"])
  }

  @Test func `a binding may hold an expression, where the operator allows it`() throws {
    _ = try shop.queue("q")
    func bind(_ text: String, in shop: Workshop) throws {
      try shop.vhost.bind(
        source: try shop.vhost.exchange("amq.headers"), to: .queue(try shop.vhost.queue("q")), key: "",
        arguments: ["x-match": "lua", "x-lua": .string(ByteString(text))])
    }
    try bind("headers.price > 100 and headers.region == 'eu'", in: shop)
    try shop.send("yes", to: "amq.headers", headers: ["price": 101, "region": "eu"])
    try shop.send("no", to: "amq.headers", headers: ["price": 101, "region": "us"])
    try shop.send("none", to: "amq.headers")
    #expect(try shop.texts(in: "q") == ["yes"])
    #expect(refusal { try bind("headers.price >", in: shop) }?.contains("x-lua:1:") == true)

    let strict = try Workshop()
    _ = try strict.queue("q")
    #expect(refusal { try bind("true", in: strict) }?.contains("client_expressions") == true)
  }

  @Test func `a declaration may be changed or denied`() throws {
    try shop.plugin(
      "limits",
      """
      declare = function(kind, definition)
        if definition.name == "bad" then return deny("not " .. kind .. " " .. definition.name) end
        if kind == "queue" then return change { arguments = { ["x-max-length"] = 10 } } end
      end
      """)
    try shop.load()
    let queue = try shop.queue("q", ["x-max-priority": 5])
    #expect(queue.arguments["x-max-length"] == .int64(10))
    #expect(try shop.queue("q", ["x-max-priority": 5]) === queue)
    #expect(refusal { _ = try shop.queue("bad") } == "not queue bad")
  }

  @Test func `a dead letter may come back later, so many times`() throws {
    try shop.plugin(
      "retry",
      """
      dead_letter = function(message, death)
        if death.reason == "rejected" and death.count < 3 then return delay(100 * death.count) end
        return drop("gave up on " .. death.queue)
      end
      """)
    try shop.load()
    let queue = try shop.queue("q")
    try shop.send("m", key: "q")
    let deliveries = Deliveries()
    let getter = Consumer(
      tag: "t", queue: queue, noAck: false, deliveries: deliveries, outlet: Collector())
    for _ in 0..<3 {
      guard case .message(_, _, let tag) = queue.get(getter) else {
        return #expect(Bool(false), "no message")
      }
      #expect(deliveries.take(tag, multiple: false) { $0.settle(.rejected(requeue: false)) })
      shop.pass(seconds: 1)
    }
    guard case .empty = queue.get(getter) else { return #expect(Bool(false), "a message is left") }
  }

  @Test func `events are told after the fact`() throws {
    _ = try shop.queue("events")
    try shop.plugin(
      "ears",
      """
      events = {
        queue_created = function(event) publish { queue = "events", body = "made " .. event.name } end,
        queue_deleted = function(event) sleep(1) publish { queue = "events", body = "gone " .. event.name } end,
        message_dropped = function(event) publish { queue = "events", body = "dropped: " .. event.reason } end,
      },
      filters = { publish = { run = function(m) if m.body == "x" then return drop("no x") end end } }
      """)
    try shop.load()
    try shop.vhost.remove(try shop.queue("q"))
    try shop.send("x", key: "q")
    shop.pass(seconds: 0)
    #expect(try shop.texts(in: "events") == ["made q", "dropped: no x"])
    shop.pass(seconds: 1.1)
    #expect(try shop.texts(in: "events") == ["gone q"])
  }

  @Test func `timers run until the plugin is gone`() throws {
    _ = try shop.queue("ticks")
    try shop.plugin(
      "ticker",
      #"timers = { { every = 10, run = function() publish { queue = "ticks", body = "tick" } end } }"#)
    try shop.load()
    for _ in 0..<3 { shop.pass(seconds: 10.1) }
    #expect(try shop.texts(in: "ticks").count == 3)
    try shop.remove("any/ticker.lua")
    try shop.load()
    try shop.load()
    for _ in 0..<3 { shop.pass(seconds: 10.1) }
    #expect(try shop.texts(in: "ticks") == [])
  }

  @Test func `an event that causes itself ends`() throws {
    try shop.plugin(
      "echo", #"events = { message_dropped = function(event) publish { queue = "none", body = "x" } end }"#)
    try shop.plugin("f", #"filters = { publish = { run = function() return drop("all") end } }"#)
    try shop.load()
    try shop.send("m", key: "q")
    for _ in 0..<100 { shop.pass(seconds: 0) }
    let usage = try #require(shop.host.reports().first { $0.name == "echo" }?.usage.first)
    #expect(usage.calls == UInt64(Later.mostHops) + 1)
  }

  @Test func `a timer keeps its time over a reload`() throws {
    _ = try shop.queue("ticks")
    for version in 1...5 {
      try shop.plugin(
        "ticker",
        """
        timers = { { every = 10, run = function() publish { queue = "ticks", body = "\(version)" } end } }
        """)
      try shop.load()
      shop.pass(seconds: 3)
    }
    #expect(try shop.texts(in: "ticks") == ["4"])
  }

  @Test func `state is handed over at a reload, and what is shared stays`() throws {
    _ = try shop.queue("q")
    func version(_ number: Int) throws {
      try shop.plugin(
        "counter",
        """
        filters = { publish = { run = function(message)
          n = n + 1
          return change { body = "v\(number) " .. n .. " " .. shared("all"):incr("n") }
        end } },
        save = function() return { n = n } end,
        restore = function(state) n = state.n end
        """, before: "local n = 0")
      try shop.load()
    }
    try version(1)
    for _ in 0..<2 { try shop.send("m", key: "q") }
    try version(2)
    try shop.send("m", key: "q")
    #expect(try shop.texts(in: "q") == ["v1 1 1", "v1 2 2", "v2 3 3"])
  }

  @Test func `calls, errors and limits are counted for each hook, over reloads`() throws {
    _ = try shop.queue("q")
    try shop.plugin(
      "f",
      """
      filters = { publish = { run = function(message)
        if message.body == "loop" then while true do end end
        if message.body == "error" then error("x") end
      end } }
      """)
    try shop.load()
    for body in ["a", "b", "error", "loop"] { _ = refusal { try shop.send(body, key: "q") } }
    let report = try #require(shop.host.reports().first { $0.name == "f" })
    let usage = try #require(report.usage.first { $0.hook == "filters.publish" })
    #expect(usage.calls == 4)
    #expect(usage.errors == 2)
    #expect(usage.limitHits == 1)
    #expect(report.hooks == ["filters.publish"])
  }

  @Test func `what would become of a message is told, and nothing is published`() throws {
    _ = try shop.queue("q")
    try shop.plugin(
      "f",
      """
      filters = { publish = { run = function(message)
        shared("seen"):incr("n")
        if message.headers.bad then return deny("bad") end
        return change { headers = { seen = true } }
      end } }
      """)
    try shop.load()
    var request = ExplainRequest(exchange: "amq.default", routingKey: "q")
    let told = try shop.host.explain(request)
    #expect(told.outcome == "routed")
    #expect(told.queues == ["q"])
    #expect(told.steps.map(\.kind) == ["filter", "exchange", "queue", "queue"])
    request.headers = ["bad": .boolean(true)]
    let refused = try shop.host.explain(request)
    #expect(refused.outcome == "denied")
    #expect(refused.steps.last?.text == "refuses the message: bad")
    #expect(try shop.texts(in: "q") == [])
    #expect(throws: PluginControlError.self) {
      try shop.host.explain(ExplainRequest(exchange: "nowhere", routingKey: ""))
    }
  }
}

@Suite struct `Access in Lua` {
  private let shop: Workshop
  private let peer = PeerAddress(address: "10.0.0.1", port: 5, isLoopback: false)

  init() throws { shop = try Workshop() }

  private func login(_ user: ByteString, _ password: ByteString = "secret") -> LoginRequest {
    LoginRequest(
      mechanism: "PLAIN", user: user, password: password, response: "", peer: peer,
      clientProperties: ["product": "test"])
  }

  private func answer(_ answer: Answer<LoginAnswer>) -> LoginAnswer? {
    switch answer {
    case .now(let value): value
    case .later(let pending): pending.value
    }
  }

  @Test func `a script allows, denies, or leaves it to the next`() throws {
    try shop.plugin(
      "auth",
      """
      authenticate = function(login)
        if login.user == "alice" and login.password == "secret" and login.peer.address == "10.0.0.1" then
          return allow { tags = { "administrator" }, as = { tenant = "acme" },
            permissions = { ["/"] = { configure = "", write = ".*", read = "^q" } } }
        end
        if login.user == "mallory" then return deny("we know you") end
        if login.user == "broken" then error("oops") end
      end
      """)
    try shop.load()
    let auth = try #require(shop.broker.hooks.authenticators.last)
    guard case .allowed(let alice)? = answer(auth.authenticate(login("alice"))) else {
      Issue.record("expected alice to be allowed")
      return
    }
    #expect(alice.name == "alice")
    #expect(alice.tags == ["administrator"])
    #expect(alice.attributes == ["tenant": "acme"])
    #expect(alice.rights == .these(["/": Permissions(configure: "", write: ".*", read: "^q")]))
    guard case .denied("we know you")? = answer(auth.authenticate(login("mallory"))),
      case .unknown? = answer(auth.authenticate(login("bob"))),
      case .denied? = answer(auth.authenticate(login("broken")))
    else {
      Issue.record("expected denied, unknown, denied")
      return
    }
  }

  @Test func `a login may wait, and ends when it waits too long`() throws {
    try shop.plugin(
      "auth",
      """
      authenticate = function(login)
        sleep(login.user == "slow" and 50 or 2)
        return allow {}
      end
      """)
    try shop.load()
    let auth = try #require(shop.broker.hooks.authenticators.last)
    guard case .later(let alice) = auth.authenticate(login("alice")),
      case .later(let slow) = auth.authenticate(login("slow"))
    else {
      Issue.record("expected both to wait")
      return
    }
    shop.pass(seconds: 1)
    #expect(alice.value == nil)
    shop.pass(seconds: 1.1)
    guard case .allowed? = alice.value else {
      Issue.record("expected alice to be allowed by now")
      return
    }
    shop.pass(seconds: 29)
    guard case .denied? = slow.value else {
      Issue.record("expected the slow one to be denied by now")
      return
    }
  }

  @Test func `a mechanism talks with its client`() throws {
    try shop.plugin(
      "otp",
      """
      sasl = { ["X-OTP"] = function(login)
        if challenge("first?") ~= "one" then return deny("one") end
        if challenge("second?") ~= "two" then return deny("two") end
        return allow { user = "alice" }
      end }
      """)
    try shop.load()
    let mechanism = try #require(shop.broker.hooks.saslMechanisms["X-OTP"])
    var request = login("")
    request.user = nil
    let talk = mechanism.begin(request)
    guard case .now(.challenge("first?")) = talk.step(nil),
      case .now(.challenge("second?")) = talk.step("one"),
      case .now(.done(.allowed(let alice))) = talk.step("two")
    else {
      Issue.record("expected two challenges and a login")
      return
    }
    #expect(alice.name == "alice")
  }

  @Test func `a script decides what a user may do`() throws {
    try shop.plugin(
      "access",
      """
      authorize = function(request)
        if request.operation == "write" and request.resource == "exchange" and request.name == "x" then
          return deny("not there")
        end
        if request.identity and request.identity.tenant == "acme" then return allow {} end
      end
      """)
    try shop.load()
    let authorizer = try #require(shop.broker.hooks.authorizers.first)
    let acme = Identity(name: "alice", attributes: ["tenant": "acme"])
    func ask(_ name: ByteString, _ identity: Identity) -> AccessAnswer? {
      let request = BrokerCore.AccessRequest(.write, .exchange, vhost: "/", name: name)
      guard case .now(let answer) = authorizer.authorize(request, identity, peer) else { return nil }
      return answer
    }
    guard case .denied("not there")? = ask("x", acme), case .allowed? = ask("y", acme),
      case .unknown? = ask("y", Identity(name: "bob"))
    else {
      Issue.record("expected denied, allowed, unknown")
      return
    }
  }

  @Test func `plugins that wait to be enabled are not asked`() throws {
    try shop.plugin("auth", "enabled = false, authenticate = function() return allow {} end")
    try shop.load()
    #expect(!shop.broker.hooks.authenticators.contains { $0.name == "auth" })
  }
}
