/// Scripts that mean harm, or err badly: each ends with an error within its budget, and the interpreter lives
/// on.

import Foundation
import LuaRuntime
import Testing

private let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
  path: "../Scripts/hostile")
private let scripts =
  (try? FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".lua") }.sorted())
  ?? []

@Suite struct `Hostile scripts` {
  @Test func `the corpus is there`() { #expect(scripts.count >= 30) }

  @Test(arguments: scripts)
  func `a hostile script ends with the error it deserves`(_ name: String) throws {
    let source = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
    let first = try #require(source.split(separator: "\n").first)
    let expected = first.dropFirst("-- expect: ".count).split(separator: "|").map(String.init)
    let lua = try interpreter()
    var error: LuaError?
    let started = ContinuousClock.now
    error = failure { _ = try lua.evaluate(source, path: name, budget: .hook) }
    if error == nil { error = failure { try callHooks(of: lua) } }
    let took = ContinuousClock.now - started
    let kind = try #require(error, "\(name) ended well").kind
    #expect(expected.contains("\(kind)"), "\(name): \(kind) \(error?.message ?? "")")
    #expect(took < .seconds(3), "\(name) took \(took)")
    // A string in a field of the plugin proves that the interpreter still runs.
    #expect(
      failure { _ = try lua.evaluate("return { about = 'fine' }", path: "after.lua") } == nil
        || kind == .memory)
  }

  /// Calls whichever of the hooks the plugin has, until one fails.
  private func callHooks(of lua: LuaInterpreter) throws {
    if let filter = try lua.hook("filters.publish.run") {
      for _ in 0..<2000 { try Letter().withMessage { _ = try filter.run(&$0) } }
    }
    if try lua.hook("events.go") != nil {
      for _ in 0..<2000 {
        var progress = try lua.start("events.go")
        while case .waiting(let task, _) = progress { progress = try task.resume(with: .null) }
      }
    }
    if try lua.hook("matcher.match") != nil {
      let matcher = try lua.matcher([])
      try Letter().withMessage { _ = try matcher.matches(&$0) }
    }
    if try lua.hook("save") != nil { _ = try lua.call("save") }
    if try lua.hook("exchange.route") != nil {
      let routes = try LuaRoutes(lua, definition: [])
      for _ in 0..<2000 { try Letter().withMessage { _ = try routes.route(&$0) } }
    }
  }

  @Test(arguments: ["memory_table.lua", "memory_pcall.lua", "coroutine_kept.lua"])
  func `memory that grows is ended by the memory limit when time allows`(_ name: String) throws {
    let source = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
    let lua = try interpreter()
    let patient = LuaBudget(instructions: 1 << 40, nanoseconds: 10_000_000_000)
    #expect(failure { _ = try lua.evaluate(source, path: name, budget: patient) }?.kind == .memory)
    #expect(lua.memoryBytes <= 16 << 20)
  }

  @Test func `every call of a wasteful route is ended, not only the first`() throws {
    let fixture = try Fixture(route: "while true do pcall(function() while true do end end) end")
    for _ in 0..<20 {
      let error = failure { _ = try fixture.route(budget: .route) }
      #expect(error?.isLimit == true)
    }
  }

  @Test func `a call that pays for much at once is timed, however few its instructions`() throws {
    for route in ["local _ = ('x'):rep(3000000)", "local _ = load(('x=x '):rep(1000))"] {
      let fixture = try Fixture(route: route)
      _ = failure { _ = try fixture.route(budget: .hook) }
      #expect(fixture.lua.lastCallNanoseconds > 0, "\(route)")
    }
    let small = try Fixture(route: "return bindings:all()", keys: ["a"])
    _ = try small.route()
    #expect(small.lua.lastCallNanoseconds == 0)
  }

  @Test func `a call of few instructions is timed while a big string lives`() throws {
    let fixture = try Fixture(
      route: """
        a, b = a or ("x"):rep(250000) .. "a", b or ("x"):rep(250000) .. "b"
        if message.routing_key == "slow" then for _ = 1, 90 do local _ = a < b end end
        """)
    func times(_ key: String) throws -> [UInt64] {
      try (0..<20).map { _ in
        _ = try fixture.route(Letter(key: key))
        return fixture.lua.lastCallNanoseconds
      }
    }
    #expect(try times("fast").contains(0), "a fast script is no waste, whatever it keeps")
    #expect(try !times("slow").contains(0))
  }

  @Test func `a limit of the host's choosing names itself`() throws {
    let fixture = try Fixture(route: "while true do end")
    let budget = LuaBudget(instructions: 5000, nanoseconds: 1_000_000_000)
    let error = failure { _ = try fixture.route(budget: budget) }
    #expect(error?.message == "x-test.lua:1: limit of 5000 instructions reached")
    #expect(error?.traceback.contains("x-test.lua:1: in function") == true)
  }

  @Test func `an allocation that fails anywhere is an error and no crash`() throws {
    let source = """
      local cache = {}
      return { exchange = { bind = function(b) return { key = b.key .. "!" } end,
        prepare = function(bindings) local index = {}
          for b, kept in bindings:each() do index[kept.key] = b end
          return index end,
        route = function(message, bindings, index)
          local ok = pcall(string.rep, message.body, 100)
          cache[#cache + 1] = json.encode({ message.headers.a, message.routing_key })
          local co = coroutine.wrap(function() coroutine.yield(("x"):gsub("x", "%0%0")) end)
          co()
          return { index["k!"], bindings:topic("a.b"), queue("q" .. #cache) }
        end } }
      """
    for nth in 1...300 {
      let lua = try interpreter()
      lua.failAllocations(from: nth)
      var failed = failure { _ = try lua.evaluate(source, path: "x.lua") } != nil
      if !failed,
        let routes = try? LuaRoutes(lua, definition: LuaValueCodec.tableContent(["name": .text("x")]))
      {
        let binding = LuaBinding(
          id: 1, key: Array("k".utf8), destination: Array("q".utf8), toExchange: false, arguments: [])
        failed = failure { try routes.bind(binding) } != nil
        for _ in 0..<10 where !failed {
          failed =
            failure {
              try Letter(headers: ["a": .text("b")]).withMessage { _ = try routes.route(&$0) }
            } != nil
        }
        lua.failAllocations(from: nil)
        if nth > 250 { Letter(headers: ["a": .text("b")]).withMessage { _ = try? routes.route(&$0) } }
      }
      lua.failAllocations(from: nil)
    }
  }

  @Test func `an interpreter that does not fit is refused`() {
    for bytes in stride(from: 0, to: 30_000, by: 50) {
      _ = LuaInterpreter(limits: LuaLimits(memoryBytes: bytes, seed: 1))
    }
    #expect(LuaInterpreter(limits: LuaLimits(memoryBytes: 4000, seed: 1)) == nil)
  }
}
