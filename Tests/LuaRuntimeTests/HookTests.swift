/// Functions of a plugin's table that are called with a message, and what they may say.

import LuaRuntime
import Testing

/// A plugin whose publish filter is the given text.
struct FilterFixture {
  let lua: LuaInterpreter
  let hook: LuaHook

  init(_ run: String, before: String = "") throws {
    lua = try interpreter()
    _ = try lua.evaluate(
      "\(before) return { filters = { publish = { run = function(message, second) \(run) end } } }",
      path: "f.lua")
    hook = try #require(try lua.hook("filters.publish.run"))
  }

  func run(_ letter: Letter = Letter(), budget: LuaBudget = .route) throws -> String {
    try letter.withMessage { try hook.run(&$0, budget: budget).shown }
  }
}

extension LuaVerdict {
  /// The verdict as the tests compare it.
  var shown: String {
    switch self {
    case .none: "none"
    case .allow: "allow \(canonical(.table(fields ?? [:])))"
    case .change: "change \(canonical(.table(fields ?? [:])))"
    case .deny(let text): "deny \(String(decoding: text.buffer, as: UTF8.self))"
    case .drop(let text): "drop \(String(decoding: text.buffer, as: UTF8.self))"
    case .delay(let milliseconds, let change) where change.count == 0: "delay \(milliseconds)"
    case .delay(let milliseconds, let change):
      "delay \(milliseconds) \(canonical(.table(LuaValueCodec.table(change.buffer) ?? [:])))"
    case .throttle(let milliseconds): "throttle \(milliseconds)"
    }
  }
}

/// A value with its types and its names in order.
func canonical(_ value: LuaValue) -> String {
  switch value {
  case .null: "null"
  case .boolean(let flag): "\(flag)"
  case .integer(let number): "\(number)"
  case .number(let number): "\(number)f"
  case .text(let text): "'\(text)'"
  case .bytes(let bytes): "\(bytes)"
  case .list(let items): "[" + items.map(canonical).joined(separator: " ") + "]"
  case .table(let fields):
    "{" + fields.sorted { $0.key < $1.key }.map { "\($0.key)=\(canonical($0.value))" }.joined(separator: " ")
      + "}"
  case .timestamp(let seconds): "@\(seconds)"
  case .function: "function"
  }
}

@Suite struct `A hook` {
  @Test func `is found by its path once, or is not there`() throws {
    let lua = try interpreter()
    _ = try lua.evaluate(
      "return { filters = { publish = 1 }, timers = { { run = function() return drop('t') end } } }",
      path: "x")
    for path in ["", ".", "filters", "filters.publish", "filters.publish.run", "declare", "timers.2.run"] {
      #expect(try lua.hook(path) == nil, "\(path)")
    }
    #expect(try lua.hook("timers.1.run")?.run([]).shown == "drop t")
  }

  @Test(
    arguments: [
      ("", "none"), ("return nil", "none"), ("return null", "none"), ("return allow{}", "allow {}"),
      ("return allow{ tags = { 'a' } }", "allow {tags=['a']}"),
      ("return deny('no ' .. message.routing_key)", "deny no orders.eu"),
      ("return drop('spam')", "drop spam"),
      ("return drop()", "drop "), ("return delay(250)", "delay 250"),
      ("return delay(5, { headers = { a = -5 } })", "delay 5 {headers={a=-5}}"),
      ("return delay(5, {})", "delay 5"), ("return throttle(1.5)", "throttle 1"),
      ("return deny(('x'):rep(5000))", "deny " + String(repeating: "x", count: 1023)),
      (
        "return change{ headers = { a = 1, b = 1.5, c = true, d = null, e = 'x', f = { 1, { g = {} } } } }",
        "change {headers={a=1 b=1.5f c=true d=null e='x' f=[1 {g={}}]}}"
      ),
      ("return change{ timestamp = { timestamp = 5 }, verdict = 1 }", "change {timestamp=@5}"),
      ("return change{ headers = { verdict = 'kept' } }", "change {headers={verdict='kept'}}"),
      ("local c = change{ body = 'b' } c.priority = 3 return c", "change {body='b' priority=3}"),
    ] as [(String, String)])
  func `says what the script says`(_ run: String, _ expected: String) throws {
    #expect(try FilterFixture(run).run() == expected)
  }

  @Test(
    arguments: [
      ("return 1", "a number"), ("return true", "a boolean"), ("return 'deny'", "a string"),
      ("return { verdict = 'deny' }", "a table"), ("return print", "a function"),
      ("return message", "a userdata"), ("return queue('q')", "queue(name)"),
      ("local v = deny('x') v.verdict = 5 return v", "a table"),
      ("local v = deny('x') v.verdict = 'x' return v", "an unknown verdict"),
      ("local v = delay(1) v.milliseconds = -1 return v", "a time out of range"),
      ("local v = delay(1) v.milliseconds = '1' return v", "a time out of range"),
    ])
  func `names what it did not expect`(_ run: String, _ what: String) throws {
    let error = failure { _ = try FilterFixture(run).run() }
    #expect(error?.kind == .runtime)
    #expect(error?.message == "filters.publish.run returned \(what), expected nothing or a verdict")
  }

  @Test func `names the field that cannot be written`() throws {
    let error = failure { _ = try FilterFixture("return change{ headers = { a = { 1, print } } }").run() }
    #expect(error?.message == "a field may not hold a function (at headers.a[2])")
  }

  @Test func `gets a second argument`() throws {
    let fixture = try FilterFixture("return drop(second.queue .. second.count .. message.body)")
    let death = LuaValueCodec.tableContent(["queue": .text("q"), "count": .integer(3)])
    let said = try Letter().withMessage { try fixture.hook.run(&$0, second: death).shown }
    #expect(said == "drop q3body")
    let empty = try FilterFixture("return drop(tostring(next(second)))")
    #expect(try Letter().withMessage { try empty.hook.run(&$0, second: []).shown } == "drop nil")
    Letter().withMessage { message in
      #expect(failure { _ = try empty.hook.run(&message, second: [9]) }?.kind == .runtime)
    }
  }

  @Test func `gets values where there is no message`() throws {
    let lua = try interpreter()
    _ = try lua.evaluate(
      "return { declare = function(kind, d) return change{ arguments = { [kind] = d.name } } end }", path: "x"
    )
    let hook = try #require(try lua.hook("declare"))
    let verdict = try hook.run([.text("queue"), .table(["name": .text("q")])])
    #expect(verdict.shown == "change {arguments={queue='q'}}")
  }

  @Test func `sees who published, and keeps no message`() throws {
    let fixture = try FilterFixture(
      "kept = message return deny(message.identity and message.identity.tenant or 'none')")
    #expect(try fixture.run() == "deny none")
    let identity = LuaValueCodec.tableContent(["tenant": .text("acme")])
    try Letter().withMessage { message in
      try identity.withUnsafeBytes { identity in
        message.identity = LuaBytes(identity)
        let said = try fixture.hook.run(&message).shown
        #expect(said == "deny acme")
      }
    }
    #expect(try fixture.run() == "deny none")
    #expect(
      failure { _ = try fixture.lua.execute("return kept.identity", path: "x") }?.message.contains("gone")
        == true)
  }

  @Test func `has one table of the identity a call`() throws {
    let fixture = try FilterFixture("assert(message.identity == message.identity)")
    let identity = LuaValueCodec.tableContent(["tenant": .text("acme")])
    try Letter().withMessage { message in
      try identity.withUnsafeBytes { identity in
        message.identity = LuaBytes(identity)
        _ = try fixture.hook.run(&message)
      }
    }
  }

  @Test(arguments: [
    "while true do end", "while true do pcall(function() while true do end end) end",
    "local t = {} for i = 1, 1e9 do t[i] = i end",
    "local t = {} for i = 1, 30000 do t['f' .. i] = ('x'):rep(100) end return change{ headers = t }",
  ])
  func `that wastes its budget is ended each time`(_ run: String) throws {
    let fixture = try FilterFixture(run)
    for _ in 0..<5 { #expect(failure { _ = try fixture.run() }?.isLimit == true) }
    #expect(try fixture.lua.execute("return 1", path: "x") == .integer(1))
  }

  @Test func `allocates nothing of its own`() throws {
    let fixture = try FilterFixture("return message.routing_key == 'x' and deny('') or nil")
    for _ in 0..<100 { _ = try fixture.run() }
    let before = fixture.lua.memoryBytes
    for _ in 0..<100 { _ = try fixture.run() }
    #expect(fixture.lua.memoryBytes == before)
  }

  @Test func `outlives the interpreter's owner`() throws {
    var hook: LuaHook?
    do { hook = try FilterFixture("return drop('x')").hook }
    #expect(try Letter().withMessage { try hook?.run(&$0).shown } == "drop x")
    hook = nil
  }

  @Test func `survives allocations that fail`() throws {
    let fixture = try FilterFixture("return change{ headers = { a = message.headers.n, b = { {} } } }")
    for nth in 1...40 {
      fixture.lua.failAllocations(from: nth)
      _ = try? fixture.run(Letter(headers: ["n": .integer(1)]))
      fixture.lua.failAllocations(from: nil)
    }
    #expect(try fixture.run(Letter(headers: ["n": .integer(1)])) == "change {headers={a=1 b=[{}]}}")
  }
}

@Suite struct `A binding` {
  @Test func `is new while a client binds it`() throws {
    let lua = try interpreter()
    _ = try lua.evaluate(
      """
      return { exchange = { bind = function(b) return b.is_new end,
        route = function(m, bindings)
          for b, kept in bindings:each() do if kept and not b.is_new then return b end end
        end } }
      """, path: "x.lua")
    let routes = try LuaRoutes(lua, definition: [])
    for id in 1...2 as ClosedRange<UInt64> {
      try routes.bind(
        LuaBinding(id: id, key: [], destination: [0x71], toExchange: false, arguments: [], isNew: id == 2))
    }
    try Letter().withMessage { message in
      guard case .routed(let ids, _) = try routes.route(&message) else { return }
      #expect(Array(ids) == [2])
    }
  }
}

@Suite struct `State that outlives a reload` {
  private func saved(_ state: String) throws -> LuaValue {
    let lua = try interpreter()
    _ = try lua.evaluate("return { save = function() \(state) end }", path: "x.lua")
    return try lua.call("save")
  }

  @Test func `comes back as it was`() throws {
    let lua = try interpreter()
    _ = try lua.evaluate(
      "return { save = function() return state end, restore = function(s) state = s end }", path: "x.lua")
    var state: LuaValue = .list([.integer(1), .number(0.5), .table([:]), .null, .bytes([0xFF])])
    for _ in 0..<98 { state = .table(["a": state]) }
    _ = try lua.call("restore", [state])
    #expect(try lua.call("save") == state)
    #expect(
      failure { _ = try lua.call("restore", [.table(["a": state])]) }?.message.contains("deeper") == true)
  }

  @Test(
    arguments: [
      ("return { users = { { f = print } } }", "a field may not hold a function (at users[1].f)"),
      ("return print", "a field may not hold a function"),
      ("return { a = coroutine.create(print) }", "a field may not hold a thread (at a)"),
      ("local t = {} t.t = t return { a = { 1, t } }", "a table may not hold itself (at a[2].t)"),
      ("local t = {} t[1] = t return t", "a table may not hold itself (at [1])"),
      ("return { a = { [1.5] = 1 } }", "a field's name must be a string (at a)"),
      ("return { [('x'):rep(256)] = 1 }", "a field's name is longer than 255 bytes"),
      (
        "local t = {} for i = 1, 100 do t = { a = t } end return t",
        "tables nested deeper than 100 (at " + Array(repeating: "a", count: 100).joined(separator: ".") + ")"
      ),
    ] as [(String, String)])
  func `that cannot be kept says where`(_ state: String, _ message: String) throws {
    #expect(failure { _ = try saved(state) }?.message == message)
  }
}
