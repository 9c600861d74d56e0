/// Messages, bindings and what `route` may return.

import LuaRuntime
import Testing

@Suite struct `The message` {
  @Test func `shows its fields and properties`() throws {
    // content_type, delivery_mode, priority, correlation_id, timestamp, type
    let letter = Letter(
      headers: ["n": .integer(7)], body: "hello", flags: 0x8000 | 0x1000 | 0x0800 | 0x0400 | 0x0040 | 0x0020,
      properties: [])
    // content_type stands before the headers on the wire, so this one is put together by hand.
    let headers = LuaValueCodec.tableContent(letter.headers)
    var block: [UInt8] = [0xBC, 0x60, 4] + Array("text".utf8) + [0, 0, 0, UInt8(headers.count)] + headers
    block += [2, 9, 2] + Array("c1".utf8) + [0, 0, 0, 0, 0, 0, 1, 0, 1, 0x74]
    let fixture = try Fixture(
      route: """
        assert(message.content_type == "text" and message.headers.n == 7 and message.headers == message.headers)
        assert(message.delivery_mode == 2 and message.priority == 9 and message.correlation_id == "c1")
        assert(message.timestamp == 256 and message.type == "t" and message.app_id == nil)
        assert(message.body == "hello" and message.size == 5 and message.routing_key == "orders.eu")
        assert(message.exchange == "" and message.vhost == nil and message.queue == nil)
        assert(message.redelivered == false and message.delayed == nil)
        """)
    try letter.withMessage { message in
      try block.withUnsafeBytes { block in
        message.properties = LuaBytes(block)
        _ = try fixture.routes.route(&message)
      }
    }
  }

  @Test func `says so when it is used after its call`() throws {
    let fixture = try Fixture(route: "kept = message")
    _ = try fixture.route()
    let error = failure { _ = try fixture.lua.execute("return kept.body", path: "later.lua") }
    #expect(error?.message.contains("valid during the call") == true)
  }

  @Test func `with malformed properties is an error where they are touched`() throws {
    let fixture = try Fixture(route: "return message.headers and nil")
    for block in [[0x20], [0x20, 0], [0x20, 0, 0, 0, 0, 9], [0x80, 0, 5, 0x61], [0, 1]] as [[UInt8]] {
      block.withUnsafeBytes { bytes in
        Letter().withMessage { message in
          message.properties = LuaBytes(bytes)
          #expect(failure { _ = try fixture.routes.route(&message) }?.kind == .runtime)
        }
      }
    }
  }
}

@Suite struct `Route` {
  @Test(
    arguments: [
      ("return nil", []), ("", []), ("return null", []), ("return {}", []),
      ("return bindings:key('a')", ["a"]), ("return bindings:all()", ["a", "a.*", "b"]),
      ("return bindings:topic('a.x')", ["a.*"]), ("return queue('direct')", ["@direct"]),
      ("return { bindings:key('a'), bindings:key('b'), queue('q') }", ["a", "b", "@q"]),
      ("return bindings:key('a')[1]", ["a"]), ("return bindings:key('none')", []),
      ("for b in bindings:all():each() do if b.key == 'b' then return b end end", ["b"]),
      (
        "local to = {} for b, kept in bindings:each() do if kept == b.key .. '!' then to[#to + 1] = b end end return to",
        ["a", "a.*", "b"]
      ),
      (
        "assert(#bindings == 3 and #bindings:all() == 3 and bindings.exchange.name == 'x') return deny('no')",
        ["denied: no"]
      ),
      ("return drop('spam')", ["dropped: spam"]), ("return delay(250)", ["delayed: 250"]),
      ("return delay(250, { priority = 1 })", ["delayed: 250 {priority=1}"]),
      ("assert(index == 3)", []),
      ("for b in bindings:each() do assert(b.destination == 'q-' .. b.key and b.arguments.x == nil) end", []),
    ] as [(String, [String])])
  func `goes where the script says`(_ route: String, _ expected: [String]) throws {
    let fixture = try Fixture(
      route: route,
      more: "bind = function(b) return b.key .. '!' end, prepare = function(bindings) return #bindings end,",
      keys: ["a", "b", "a.*"])
    #expect(try fixture.route() == expected)
  }

  @Test func `refuses a binding with the script's text`() throws {
    var fixture = try Fixture(
      route: "return bindings:all()",
      more: "bind = function(b) if b.key == 'no' then return deny('not this') end end,")
    let error = failure { try fixture.bind("no") }
    #expect(error?.kind == .refused)
    #expect(error?.message == "not this")
    try fixture.bind("yes")
    #expect(try fixture.route() == ["yes"])
  }

  @Test func `sees bindings come and go, and prepares again`() throws {
    var fixture = try Fixture(
      route: "assert(index == #bindings) return bindings:all()", more: "prepare = function(b) return #b end,",
      keys: ["a", "b", "c"])
    #expect(try fixture.route() == ["a", "b", "c"])
    fixture.routes.unbind(1)
    fixture.routes.unbind(1)
    #expect(try fixture.route() == ["b", "c"])
    fixture.routes.unbind(3)
    try fixture.bind("d")
    #expect(try fixture.route() == ["b", "d"])
  }

  @Test func `selects by key and topic while bindings come and go`() throws {
    let route = """
      if message.body == "key" then return bindings:key(message.routing_key) end
      return bindings:topic(message.routing_key)
      """
    var fixture = try Fixture(route: route, keys: ["a.b", "a.*", "a.*", "#"])
    let select = { (fixture: Fixture) in
      try [fixture.route(Letter(key: "a.b", body: "key")), fixture.route(Letter(key: "a.b", body: "topic"))]
    }
    #expect(try select(fixture) == [["a.b"], ["#", "a.*", "a.*", "a.b"]])
    fixture.routes.unbind(1)
    fixture.routes.unbind(2)
    #expect(try select(fixture) == [[], ["#", "a.*"]])
    try fixture.bind("a.b")
    #expect(try select(fixture) == [["a.b"], ["#", "a.*", "a.b"]])
  }

  @Test func `a new version goes on with the indexes of the one before`() throws {
    let old = try Fixture(route: "return bindings:topic('a.b')", keys: ["a.*", "b"])
    let new = try Fixture(route: "return bindings:topic(message.routing_key)", keys: ["a.*", "b"])
    #expect(try old.route() == ["a.*"])
    new.routes.adoptIndexes(of: old.routes)
    #expect(try new.route(Letter(key: "b")) == ["b"])
    #expect(try old.route() == ["a.*"])
    new.routes.unbind(2)
    #expect(try new.route(Letter(key: "b")) == [])
  }

  @Test(
    arguments: [
      ("return tostring(bindings:all())", "selection"), ("return type(bindings:all())", "userdata"),
      ("return #bindings:all() .. bindings:all()[1].key .. tostring(bindings:all()[2])", "1anil"),
      ("return select(2, pcall(function() return null.x end))", "x-test.lua:1: attempt to index null"),
      ("return select(2, pcall(function() return bindings.no end))", "x-test.lua:1: bindings have no 'no'"),
      ("return select(2, pcall(json.encode, bindings:all()))", "JSON has no selection"),
      ("return getmetatable(bindings) or 'none'", "none"),
    ] as [(String, String)])
  func `a selection is a value of its own`(_ text: String, _ expected: String) throws {
    let fixture = try Fixture(route: "return queue((function() \(text) end)())", keys: ["a"])
    #expect(try fixture.route() == ["@" + expected])
  }

  @Test func `returning a binding that is gone is an error`() throws {
    let fixture = try Fixture(route: "kept = kept or bindings:key('a')[1] return kept", keys: ["a", "b"])
    #expect(try fixture.route() == ["a"])
    fixture.routes.unbind(1)
    #expect(failure { _ = try fixture.route() }?.message == "route returned a binding that is gone")
  }

  @Test func `a selection that outlives its exchange is an error for the next hook`() throws {
    let lua = try interpreter()
    _ = try lua.evaluate(
      """
      local kept
      return { exchange = {
        bind = function(b) if b.key == "late" then return #kept + kept[1].index end end,
        route = function(m, bindings) kept = bindings:all() end,
      } }
      """, path: "x.lua")
    func binding(_ key: String) -> LuaBinding {
      LuaBinding(id: 1, key: Array(key.utf8), destination: [0x71], toExchange: false, arguments: [])
    }
    var first: LuaRoutes? = try LuaRoutes(lua, definition: [])
    try first?.bind(binding("early"))
    try Letter().withMessage { _ = try first?.route(&$0) }
    let second = try LuaRoutes(lua, definition: [])
    first = nil
    let error = failure { try second.bind(binding("late")) }
    #expect(error?.message == "x.lua:3: a selection is valid during the call that made it")
  }

  @Test func `gives the host no endless text, queue name or list`() throws {
    let long = try Fixture(route: "return deny(('x'):rep(100000))")
    #expect(try long.route() == ["denied: " + String(repeating: "x", count: 1023)])
    let name = try Fixture(route: "return queue(('x'):rep(256))")
    #expect(
      failure { _ = try name.route() }?.message
        == "route returned a queue's name that is longer than 255 bytes")
    let many = try Fixture(
      route: "local all, to = bindings:all(), {} for i = 1, 100 do to[i] = all end return to",
      keys: ["a", "b"])
    #expect(failure { _ = try many.route() }?.message == "route returned too many bindings")
    let twice = try Fixture(route: "return { bindings:all(), bindings:all() }", keys: ["a", "b"])
    #expect(try twice.route() == ["a", "a", "b", "b"])
  }

  @Test func `hashes evenly by weight and moves few values when a binding is added`() throws {
    var fixture = try Fixture(
      route: "return bindings:hash(message.routing_key)",
      more: "bind = function(b) return tonumber(b.key) end,",
      keys: ["1", "2.0", "3"])
    func spread() throws -> [[String]] { try (0..<6000).map { try fixture.route(Letter(key: "key-\($0)")) } }
    let before = try spread()
    let counts = [1000, 2000, 3000]
    for (key, count) in zip(["1", "2.0", "3"], counts) {
      #expect(abs(before.filter { $0 == [key] }.count - count) < 150)
    }
    try fixture.bind("2")
    let after = try spread()
    for (old, new) in zip(before, after) { #expect(new == old || new == ["2"]) }
  }

  @Test func `matches headers as a headers exchange does`() throws {
    var fixture = try Fixture(route: "return bindings:headers()")
    try fixture.bind("all", arguments: ["a": .integer(1), "b": .null])
    try fixture.bind("any", arguments: ["x-match": .text("any"), "a": .integer(2), "c": .text("z")])
    try fixture.bind("none", arguments: ["x-match": .text("any")])
    try fixture.bind("x", arguments: ["x-match": .text("all-with-x"), "x-k": .text("v")])
    #expect(try fixture.route(Letter(headers: ["a": .integer(1), "b": .text("b")])) == ["all"])
    #expect(try fixture.route(Letter(headers: ["c": .text("z"), "x-k": .text("v")])) == ["any", "x"])
    #expect(try fixture.route(Letter(headers: ["a": .number(1), "b": .null])) == [])
  }

  @Test(arguments: [
    ("a.b", "a.b", true), ("*", "a", true), ("*", "", false), ("#", "", true), ("#", "a.b.c", true),
    ("a.#", "a", true), ("a.#", "a.b.c", true), ("a.#.c", "a.c", true), ("a.#.c", "a.b.b.c", true),
    ("a.#.c", "a.b", false), ("*.b", "a.b", true), ("*.b", "b", false), ("#.b.#", "a.b.c", true),
    ("a.*.c", "a..c", true), ("a.", "a.", true), ("a.b", "a", false), ("a", "a.b", false), ("#.#", "", true),
    ("*.#.*", "a", false), ("*.#.*", "a.b", true),
  ])
  func `matches topics word by word`(_ pattern: String, _ key: String, _ matches: Bool) throws {
    let fixture = try Fixture(route: "return bindings:topic(message.routing_key)", keys: [pattern])
    #expect(try fixture.route(Letter(key: key)) == (matches ? [pattern] : []))
  }
}
