import AMQPWire
import BrokerCore
import Foundation
import LuaRuntime
import Testing

@testable import BrokerScripting

@Suite struct `Exchange types in Lua` {
  @Test func `the shipped plugins load, and their own tests pass`() throws {
    let plugins = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../plugins")
    var loader = PluginLoader(PluginOptions(folder: plugins.path))
    let found = loader.changes()
    let changes = try #require(found)
    #expect(changes.problems == [])
    let workshop = try Workshop()
    workshop.host.apply(changes)
    for name in ["x-consistent-hash", "x-random"] {
      #expect(workshop.host.statuses.contains { $0.name == name && $0.inForce })
    }
    try workshop.declare("e", "x-consistent-hash", arguments: ["hash-header": "customer"])
    try workshop.bind("e", "a", key: "1")
    try workshop.bind("e", "b", key: "10")
    let first = try workshop.route("e", key: "k1", headers: ["customer": 5])
    #expect(first.count == 1)
    #expect(try workshop.route("e", key: "k2", headers: ["customer": 5]) == first)
    #expect(throws: ProtocolError(.preconditionFailed, "The binding key must be greater than 0")) {
      try workshop.bind("e", "c", key: "0")
    }
    #expect(throws: ProtocolError(.preconditionFailed, "Unsupported property: app_id")) {
      try workshop.declare("f", "x-consistent-hash", arguments: ["hash-property": "app_id"])
    }
  }

  @Test(
    arguments: [
      ("return bindings:key(message.routing_key)", "a.b", ["exact"]),
      ("return bindings:topic(message.routing_key)", "a.b", ["exact", "star"]),
      ("return bindings:all()", "", ["exact", "star"]), ("return queue('star')", "", ["star"]),
      ("return queue('nowhere')", "", []), ("return nil", "", []),
      ("assert(message.user == 'guest' and message.vhost == '/' and message.exchange == 'e')", "", []),
      ("assert(bindings.exchange.name == 'e' and bindings.exchange.type == 'x-t')", "", []),
    ] as [(String, String, [String])])
  func `route to bindings and queues`(_ route: String, _ key: String, _ expected: [String]) throws {
    let workshop = try Workshop()
    try workshop.writeType("x-t", route: route)
    #expect(workshop.reload())
    #expect(workshop.problem("x-t") == nil)
    try workshop.declare("e", "x-t")
    try workshop.bind("e", "exact", key: "a.b")
    try workshop.bind("e", "star", key: "a.*")
    #expect(try workshop.route("e", key: key) == expected)
    try workshop.bind("e", "late", key: "a.#")
    let vhost = try workshop.vhost
    vhost.remove(try vhost.queue("late"))
    #expect(try workshop.route("e", key: key) == expected)
  }

  @Test func `refuse a message when they deny it or fail`() throws {
    let workshop = try Workshop()
    try workshop.writeType(
      "x-t", route: "if message.routing_key == 'no' then return deny('not today') end error('oops')")
    workshop.reload()
    try workshop.declare("e", "x-t")
    #expect(throws: ProtocolError(.preconditionFailed, "not today")) { try workshop.route("e", key: "no") }
    #expect(
      throws: ProtocolError(.preconditionFailed, "exchange type 'x-t' failed: exchanges/x-t.lua:5: oops")
    ) { try workshop.route("e") }
  }

  @Test func `that are pure are asked once a key, until a binding changes`() throws {
    let workshop = try Workshop()
    try workshop.writeType(
      "x-t", route: "if calls > 3 then error('asked again') end return bindings:key(message.routing_key)",
      more: "pure = { 'routing_key' }")
    workshop.reload()
    try workshop.declare("e", "x-t")
    try workshop.bind("e", "a", key: "k")
    for _ in 0..<5 { #expect(try workshop.route("e", key: "k") == ["a"]) }
    for _ in 0..<5 { #expect(try workshop.route("e", key: "other") == []) }
    try workshop.bind("e", "b", key: "k")
    for _ in 0..<5 { #expect(try workshop.route("e", key: "k") == ["a", "b"]) }
    #expect(try workshop.route("e", key: "k", headers: ["CC": .array(["k"])]) == ["a", "b"])
  }

  @Test func `that waste the loop's time are cut off for a while`() throws {
    let workshop = try Workshop()
    try workshop.writeType("x-t", route: "while message.routing_key == 'waste' do end return queue('q')")
    workshop.reload()
    try workshop.declare("e", "x-t")
    _ = try workshop.vhost.declare(QueueDefinition(name: "q"))
    var texts: [String] = []
    for _ in 0..<400 {
      do { _ = try workshop.route("e", key: "waste") } catch let error as ProtocolError {
        texts.append(error.text)
      }
    }
    #expect(texts.first?.contains("limit of") == true)
    #expect(texts.last?.contains("cut off") == true)
    #expect(throws: ProtocolError.self) { try workshop.route("e", key: "fine") }
    workshop.clock.nanoseconds += 1_100_000_000
    #expect(try workshop.route("e", key: "fine") == ["q"])
  }
}

@Suite struct `Hot reload` {
  @Test func `puts a saved file into force for exchanges that exist`() throws {
    let workshop = try Workshop()
    try workshop.writeType("x-t", route: "return bindings:key('a')")
    workshop.reload()
    try workshop.declare("e", "x-t")
    try workshop.bind("e", "qa", key: "a")
    try workshop.bind("e", "qb", key: "b")
    #expect(try workshop.route("e") == ["qa"])
    #expect(!workshop.reload())
    try workshop.writeType("x-t", route: "return bindings:key('b')")
    #expect(workshop.reload())
    #expect(try workshop.route("e") == ["qb"])
  }

  @Test func `keeps the old version when the new one is broken, and says file and line`() throws {
    let workshop = try Workshop()
    try workshop.writeType("x-t", route: "return queue('q')")
    workshop.reload()
    try workshop.declare("e", "x-t")
    _ = try workshop.vhost.declare(QueueDefinition(name: "q"))
    for (text, reason) in [
      ("return {\n  api = = 1\n}", "exchanges/x-t.lua:2: unexpected symbol near '='"),
      ("local t = nil\nreturn t.x", "exchanges/x-t.lua:2: attempt to index a nil value (local 't')"),
      (
        "return { api = 1, exchnage = {} }",
        "exchanges/x-t.lua: unknown field 'exchnage': did you mean 'exchange'?"
      ),
      (
        "return { api = 1, exchange = {} }",
        "exchanges/x-t.lua: exchange.route is needed and must be a function"
      ),
      ("return {}", "exchanges/x-t.lua: the plugin's table must say api = 1"),
      ("while true do end", "exchanges/x-t.lua:1: limit of 100000000 instructions reached"),
    ] {
      try workshop.write("exchanges/x-t.lua", text)
      #expect(workshop.reload())
      let problem = workshop.problem("x-t") ?? ""
      #expect(problem == reason || problem.contains(": time limit of "))
      #expect(try workshop.route("e") == ["q"])
    }
    try workshop.writeType("x-t", route: "return nil")
    workshop.reload()
    #expect(workshop.problem("x-t") == nil)
    #expect(try workshop.route("e") == [])
  }

  @Test func `refuses a version that does not take a binding that exists`() throws {
    let workshop = try Workshop()
    try workshop.writeType("x-t", route: "return bindings:all()")
    workshop.reload()
    try workshop.declare("e", "x-t")
    try workshop.bind("e", "q", key: "k")
    try workshop.writeType("x-t", route: "return nil", more: "bind = function() return deny('no more') end")
    workshop.reload()
    #expect(workshop.problem("x-t")?.contains("no more") == true)
    #expect(try workshop.route("e") == ["q"])
  }

  @Test func `takes over more bindings than the loop's allowance would pay for`() throws {
    let workshop = try Workshop()
    let bind = "bind = function() for i = 1, 50000 do end end"
    try workshop.writeType("x-t", route: "return bindings:key('k1')", more: bind)
    workshop.reload()
    try workshop.declare("e", "x-t")
    for number in 0..<400 {
      workshop.clock.nanoseconds += 2_000_000_000
      try workshop.bind("e", "q", key: ByteString("k\(number)"))
    }
    try workshop.writeType("x-t", route: "return bindings:key('none')", more: bind)
    workshop.reload()
    #expect(workshop.problem("x-t") == nil)
    #expect(try workshop.route("e") == [])
  }

  @Test func `leaves an unchanged plugin its state while others change`() throws {
    let workshop = try Workshop()
    try workshop.writeType("x-count", route: "return queue('q' .. calls)")
    try workshop.writeType("x-t", route: "return nil")
    workshop.reload()
    try workshop.declare("e", "x-count")
    for name in ["q1", "q2", "q3"] as [ByteString] {
      _ = try workshop.vhost.declare(QueueDefinition(name: name))
    }
    #expect(try workshop.route("e") == ["q1"])
    try workshop.writeType("x-t", route: "return {}")
    #expect(workshop.reload())
    #expect(try workshop.route("e") == ["q2"])
  }

  @Test func `follows modules of _lib and of the plugin's own folder`() throws {
    let workshop = try Workshop()
    try workshop.write("_lib/names.lua", "return { target = require('more.deep') }")
    try workshop.write("_lib/more/deep.lua", "return 'q1'")
    try workshop.write(
      "exchanges/x-t/init.lua",
      "local names, own = require('names'), require('own')\n"
        + "return { api = 1, exchange = { route = function() return queue(own(names.target)) end } }")
    try workshop.write("exchanges/x-t/own.lua", "return function(name) return name end")
    workshop.reload()
    #expect(workshop.problem("x-t") == nil)
    try workshop.declare("e", "x-t")
    for name in ["q1", "q2"] as [ByteString] { _ = try workshop.vhost.declare(QueueDefinition(name: name)) }
    #expect(try workshop.route("e") == ["q1"])
    try workshop.write("_lib/more/deep.lua", "return 'q2'")
    #expect(workshop.reload())
    #expect(try workshop.route("e") == ["q2"])
  }

  @Test func `runs the plugin's tests first`() throws {
    let workshop = try Workshop()
    try workshop.writeType("x-t", route: "return bindings:all()")
    try workshop.write(
      "exchanges/x-t_test.lua",
      """
      local t = require("yutu.test")
      local exchange = t.exchange("x-t", { bindings = { a = {}, b = "k" } })
      t.test("goes to a alone", function()
        t.equal(exchange:route({ headers = { n = 1 } }), { "a" })
      end)
      """)
    workshop.reload()
    #expect(
      workshop.problem("x-t")
        == #"exchanges/x-t_test.lua:4: expected {"a"}, got {"a", "b"} in 'goes to a alone' (1 of its tests failed)"#
    )
    #expect(throws: ProtocolError(.preconditionFailed, "unknown exchange type 'x-t'")) {
      try workshop.declare("e", "x-t")
    }
  }

  @Test func `withdraws a type whose file is gone, and leaves its exchanges working`() throws {
    let workshop = try Workshop()
    try workshop.writeType("x-t", route: "return bindings:all()")
    workshop.reload()
    try workshop.declare("e", "x-t")
    try workshop.bind("e", "q")
    try workshop.remove("exchanges/x-t.lua")
    workshop.reload()
    workshop.reload()
    #expect(try workshop.route("e") == ["q"])
    #expect(throws: ProtocolError.self) { try workshop.declare("f", "x-t") }
  }

  @Test func `keeps a plugin whose file is away for a moment, with its state`() throws {
    let workshop = try Workshop()
    try workshop.writeType("x-t", route: "return queue('q' .. calls)")
    workshop.reload()
    try workshop.declare("e", "x-t")
    for name in ["q1", "q2"] as [ByteString] { _ = try workshop.vhost.declare(QueueDefinition(name: name)) }
    #expect(try workshop.route("e") == ["q1"])
    let file = workshop.folder.appending(path: "exchanges/x-t.lua")
    let aside = workshop.folder.appending(path: "exchanges/x-t.lua~")
    try FileManager.default.moveItem(at: file, to: aside)
    #expect(!workshop.reload())
    try workshop.declare("f", "x-t")
    try FileManager.default.moveItem(at: aside, to: file)
    #expect(!workshop.reload())
    #expect(try workshop.route("e") == ["q2"])
  }

  @Test func `keeps a plugin whose file cannot be read, and forgets the problem when it can`() throws {
    let workshop = try Workshop()
    try workshop.writeType("x-t", route: "return queue('q')")
    workshop.reload()
    try workshop.write("exchanges/x-t.lua", String(repeating: "-", count: 2 << 20))
    for _ in 0..<3 {
      workshop.reload()
      #expect(workshop.problem("x-t") == "exchanges/x-t.lua: is larger than 1048576 bytes")
    }
    try workshop.declare("e", "x-t")
    try workshop.writeType("x-t", route: "return queue('q')")
    workshop.reload()
    #expect(workshop.problem("x-t") == nil)
  }

  @Test func `keeps all plugins while their folder is away`() throws {
    let workshop = try Workshop()
    try workshop.writeType("x-t", route: "return queue('q')")
    workshop.reload()
    let aside = workshop.folder.appendingPathExtension("away")
    try FileManager.default.moveItem(at: workshop.folder, to: aside)
    #expect(workshop.reload())
    #expect(!workshop.reload())
    #expect(workshop.problem(workshop.folder.lastPathComponent)?.contains("cannot be read") == true)
    try workshop.declare("e", "x-t")
    try FileManager.default.moveItem(at: aside, to: workshop.folder)
    #expect(workshop.reload())
    #expect(workshop.host.statuses.map(\.problem) == [nil])
    try workshop.declare("f", "x-t")
  }

  @Test func `sees a change that leaves size and time as they were`() throws {
    let workshop = try Workshop()
    let file = workshop.folder.appending(path: "exchanges/x-t.lua").path
    _ = try workshop.vhost.declare(QueueDefinition(name: "q1"))
    _ = try workshop.vhost.declare(QueueDefinition(name: "q2"))
    let now = Date()
    for name in ["q1", "q2"] {
      let text = "return { api = 1, exchange = { route = function() return queue('\(name)') end } }"
      if name == "q1" {
        try workshop.write("exchanges/x-t.lua", text)
      } else {
        let handle = try #require(FileHandle(forWritingAtPath: file))
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
      }
      try FileManager.default.setAttributes([.modificationDate: now], ofItemAtPath: file)
      #expect(workshop.reload())
      if name == "q1" { try workshop.declare("e", "x-t") }
      #expect(try workshop.route("e") == [name])
    }
  }

  @Test func `withdraws a type that its plugin no longer has, and takes it back`() throws {
    let workshop = try Workshop()
    try workshop.writeType("x-t", route: "return queue('q')")
    workshop.reload()
    try workshop.declare("e", "x-t")
    _ = try workshop.vhost.declare(QueueDefinition(name: "q"))
    _ = try workshop.vhost.declare(QueueDefinition(name: "r"))
    try workshop.write("exchanges/x-t.lua", "return { api = 1 }")
    workshop.reload()
    #expect(try workshop.route("e") == ["q"])
    #expect(throws: ProtocolError.self) { try workshop.declare("f", "x-t") }
    try workshop.writeType("x-t", route: "return queue('r')")
    workshop.reload()
    #expect(workshop.problem("x-t") == nil)
    #expect(try workshop.route("e") == ["r"])
    try workshop.declare("f", "x-t")
  }

  @Test func `waits for the operator when the plugin says so, and takes settings`() throws {
    let text = """
      return { api = 1, enabled = false, settings = { target = { default = "a" } },
        exchange = { route = function() return queue(settings.target) end } }
      """
    let idle = try Workshop()
    try idle.write("exchanges/x-t.lua", text)
    idle.reload()
    #expect(throws: ProtocolError.self) { try idle.declare("e", "x-t") }
    let enabled = try Workshop {
      $0.enabled = ["x-t": true]
      $0.settings = ["x-t": ["target": .text("b")]]
    }
    try enabled.write("exchanges/x-t.lua", text)
    enabled.reload()
    try enabled.declare("e", "x-t")
    _ = try enabled.vhost.declare(QueueDefinition(name: "b"))
    #expect(try enabled.route("e") == ["b"])
    let wrong = try Workshop { $0.settings = ["x-t": ["target": .integer(1)]] }
    try wrong.write("exchanges/x-t.lua", text)
    wrong.reload()
    #expect(
      wrong.problem("x-t")
        == "exchanges/x-t.lua: setting 'target' of plugin 'x-t': 1 is a number, expected a string")
  }

  @Test func `refuses to take the place of a built-in type`() throws {
    let workshop = try Workshop()
    try workshop.writeType("topic", route: "return nil")
    workshop.reload()
    #expect(workshop.problem("topic") == "'topic' is a built-in exchange type")
  }

  @Test func `leaves a built-in type alone that a waiting plugin is named after`() throws {
    let workshop = try Workshop()
    let text = "return { api = 1, enabled = %, exchange = { route = function() end } }"
    try workshop.write("exchanges/topic.lua", text.replacing("%", with: "false"))
    workshop.reload()
    try workshop.write("exchanges/topic.lua", text.replacing("%", with: "true"))
    workshop.reload()
    #expect(workshop.problem("topic") == "'topic' is a built-in exchange type")
    try workshop.bind("amq.topic", "q", key: "#")
    #expect(try workshop.route("amq.topic", key: "a") == ["q"])
    try workshop.remove("exchanges/topic.lua")
    workshop.reload()
    workshop.reload()
    try workshop.declare("e", "topic")
  }
}

@Suite struct `The memory of a pure exchange` {
  private func remembers(_ memory: KeyMemory, _ key: Int) -> Bool {
    ByteString("\(key)").withOctets { memory.remembers($0) }
  }

  private func remember(_ memory: KeyMemory, _ key: Int, destinations: Int) {
    let route = KeyMemory.Route(addresses: [], queues: ContiguousArray(repeating: "q", count: destinations))
    ByteString("\(key)").withOctets { memory.remember($0, route) }
  }

  private func wants(_ memory: KeyMemory, _ key: Int) -> Bool {
    ByteString("\(key)").withOctets { memory.wants($0) }
  }

  @Test func `forgets the oldest value, and all when they lead to too many destinations`() {
    let memory = KeyMemory(limit: 3, destinationLimit: 10)
    for key in 0..<5 { remember(memory, key, destinations: 2) }
    #expect((0..<5).map { remembers(memory, $0) } == [false, false, true, true, true])
    #expect(memory.destinations == 6)
    remember(memory, 5, destinations: 5)
    #expect(remembers(memory, 5) && !remembers(memory, 4) && memory.destinations == 5)
    remember(memory, 6, destinations: 5)
    #expect(remembers(memory, 5) && remembers(memory, 6) && memory.destinations == 10)
    memory.forgetAll()
    #expect(memory.destinations == 0)
  }

  @Test func `takes what comes while it has room, and then what comes twice`() {
    let memory = KeyMemory(limit: 2, destinationLimit: 10)
    var wanted: [Bool] = []
    for key in 0..<2 {
      wanted.append(wants(memory, key))
      remember(memory, key, destinations: 1)
    }
    wanted += [wants(memory, 2), wants(memory, 2)]
    memory.forgetAll()
    wanted.append(wants(memory, 2))
    #expect(wanted == [true, true, false, true, true])
  }
}

@Suite struct `The loop's allowance` {
  @Test func `shuts for twice as long each time, and forgives after a minute`() {
    var allowance = LoopAllowance()
    var now: UInt64 = 1_000_000_000
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] as [UInt64] {
      #expect(allowance.add(90_000_000, at: now) == nil)
      #expect(allowance.add(20_000_000, at: now) == seconds * 1_000_000_000)
      let isShut = allowance.isShut(at: now + seconds * 1_000_000_000 - 1)
      #expect(isShut)
      now += seconds * 1_000_000_000
      let isShutLater = allowance.isShut(at: now)
      #expect(!isShutLater)
    }
    now += 61_000_000_000
    #expect(allowance.add(101_000_000, at: now) == 1_000_000_000)
  }
}
