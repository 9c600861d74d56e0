/// `shared(name, capacity)`: what it keeps, for how long, and what it refuses.

import LuaRuntime
import Testing

/// A host whose clock stands until it is moved.
final class Clockwork: LuaHost {
  var nanoseconds: Int64 = 5_000_000_000
  var hasClock: Bool { true }
  func log(_ level: LuaLogLevel, _ text: String) {}
  func wallNanoseconds() -> Int64 { nanoseconds }
  func monotonicNanoseconds() -> Int64 { nanoseconds }
  func advance(seconds: Double) { nanoseconds += Int64(seconds * 1e9) }
}

/// Two interpreters that share, and their clock.
private struct Pair {
  let clock = Clockwork()
  let shared: LuaShared
  let first, second: LuaInterpreter

  init(memoryBytes: Int = 1 << 20) throws {
    shared = LuaShared(memoryBytes: memoryBytes, seed: 1)
    let limits = LuaLimits(memoryBytes: 16 << 20, seed: 1)
    first = try #require(LuaInterpreter(limits: limits, host: clock, shared: shared))
    second = try #require(LuaInterpreter(limits: limits, host: clock, shared: shared))
  }

  func run(_ source: String) throws -> LuaValue { try first.execute(source, path: "a.lua") }
}

@Suite struct `Shared` {
  @Test func `keeps strings, numbers and booleans for all interpreters, and beyond them`() throws {
    let pair = try Pair()
    _ = try pair.run(
      """
      local d = shared("d")
      d:set("text", "a\\0b") d:set("empty", "") d:set("int", 1 << 62) d:set("float", -0.5)
      d:set("no", false) d:set("", true)
      """)
    let seen = try pair.second.execute(
      """
      local d = shared("d")
      return { d:get("text") == "a\\0b", d:get("empty") == "", d:get("int") == 1 << 62, d:get("float") == -0.5,
        d:get("no") == false, d:get(""), d:get("none") == nil, shared("e"):get("int") == nil, d:count() == 6 }
      """, path: "b.lua")
    #expect(seen == .list(Array(repeating: .boolean(true), count: 9)))
    let later = try #require(LuaInterpreter(shared: pair.shared))
    #expect(try later.execute("return shared('d'):get('int')", path: "c.lua") == .integer(1 << 62))
  }

  @Test func `sets, adds, counts and deletes`() throws {
    let checks = [
      "d:add('a', 1) == true", "d:add('a', 2) == false", "d:get('a') == 1", "d:delete('a') == true",
      "d:delete('a') == false", "d:incr('n') == 1", "d:incr('n') == 2", "d:incr('n', 5) == 7",
      "d:incr('n', -7) == 0", "d:incr('m', 2, 10) == 12", "d:incr('m', 2, 10) == 14",
      "d:incr('f', 0.5) == 0.5", "d:incr('f', 1) == 1.5", "d:incr('n', 0.5) == 0.5",
      "math.type(d:get('m')) == 'integer'", "d:set('n', 'x') == nil", "d:get('n') == 'x'",
      "d:set('n', ('y'):rep(5000)) == nil", "#d:get('n') == 5000", "d:set('n', true) == nil",
      "d:get('n') == true", "d:count() == 3", "table.concat(d:keys(), ' ') == 'm f n'",
      "table.concat(d:keys(2), ' ') == 'm f'", "#d:keys(0) == 0", "shared('d') == shared('d')",
      "getmetatable(d) == false", "tostring(d):find('shared dictionary') == 1",
    ]
    let lua = try Pair()
    for check in checks {
      #expect(try lua.run("local d = shared('d') return \(check)") == .boolean(true), "\(check)")
    }
  }

  @Test func `forgets what has had its time`() throws {
    let lua = try Pair()
    _ = try lua.run(
      "local d = shared('d') d:set('a', 1, 10) d:add('b', 2, 0.5) d:incr('c', 1, 0, 10) d:set('d', 4)")
    lua.clock.advance(seconds: 0.4)
    #expect(try lua.run("return shared('d'):count()") == .integer(4))
    lua.clock.advance(seconds: 0.2)
    #expect(try lua.run("return shared('d'):get('b')") == .null)
    // An increment keeps the time that the key was made with; `set` gives a new one.
    #expect(try lua.run("return shared('d'):incr('c', 1, 0, 100)") == .integer(2))
    _ = try lua.run("shared('d'):set('a', 1, 20)")
    lua.clock.advance(seconds: 9.5)
    #expect(try lua.run("return shared('d'):incr('c')") == .integer(1))
    #expect(try lua.run("return table.concat(shared('d'):keys(), ' ')") == .text("d a c"))
    lua.clock.advance(seconds: 100)
    #expect(try lua.run("return shared('d'):count()") == .integer(2))
    #expect(try lua.run("return shared('d'):add('a', 'new') and shared('d'):get('a')") == .text("new"))
  }

  @Test func `takes tokens as they come back`() throws {
    let lua = try Pair()
    let take = "local ok, wait = shared('d'):take('k', 2, 4, 3) return { ok, wait or 0 }"
    #expect(try lua.run(take) == .list([.boolean(true), .integer(0)]))
    #expect(try lua.run(take) == .list([.boolean(false), .number(1)]))
    lua.clock.advance(seconds: 0.5)
    #expect(try lua.run(take) == .list([.boolean(false), .number(0.5)]))
    lua.clock.advance(seconds: 0.5)
    #expect(try lua.run(take) == .list([.boolean(true), .integer(0)]))
    lua.clock.advance(seconds: 100)
    #expect(try lua.run("return shared('d'):count()") == .integer(0), "a full bucket is none")
    #expect(
      try lua.run("local d, n = shared('d'), 0 while d:take('k', 2, 4) do n = n + 1 end return n")
        == .integer(4))
  }

  @Test func `lets the entry go that was written longest ago`() throws {
    let lua = try Pair(memoryBytes: 8 << 20)
    _ = try lua.run("local d = shared('d', 3) for k in ('abc'):gmatch('.') do d:set(k, k) end")
    _ = try lua.run("local d = shared('d') d:set('a', 1) d:get('b') d:set('d', 1)")
    #expect(try lua.run("return table.concat(shared('d'):keys(), ' ')") == .text("c a d"))
    // The capacity that was said last counts, for everybody.
    _ = try lua.second.execute("shared('d', 2):set('e', 1)", path: "b.lua")
    #expect(
      try lua.run("shared('d'):set('f', 1) return table.concat(shared('d'):keys(), ' ')") == .text("e f"))
    _ = try lua.run("local d = shared('many') for i = 1, 12000 do d:set('k' .. i, i) end")
    #expect(
      try lua.run("local d = shared('many') return { d:count(), d:get('k2001') }")
        == .list([.integer(10000), .integer(2001)]))
  }

  @Test func `has a bound of memory over all dictionaries`() throws {
    let lua = try Pair(memoryBytes: 1 << 20)
    _ = try lua.run("local d = shared('d') for i = 1, 200 do d:set('k' .. i, ('x'):rep(10000)) end")
    #expect(lua.shared.memoryBytes <= 1 << 20)
    #expect(
      try lua.run("local d = shared('d') return d:count() > 90 and d:get('k200') ~= nil") == .boolean(true))
    let error = failure { _ = try lua.run("shared('other'):set('k', ('x'):rep(100000))") }
    #expect(
      error?.message
        == "a.lua:1: shared memory is full: other dictionaries hold it (limit of 1048576 bytes)")
    #expect(try lua.run("return shared('d'):count() > 90") == .boolean(true), "others' entries stay")
    _ = try lua.run("local d = shared('d') for _, k in ipairs(d:keys(1000)) do d:delete(k) end")
    _ = try lua.run("shared('other'):set('k', ('x'):rep(100000))")
    #expect(lua.shared.memoryBytes < 120_000)
  }

  @Test func `stays below its bound with many dictionaries, too`() throws {
    let lua = try Pair(memoryBytes: 100_000)
    _ = try lua.run(
      "for i = 1, 20000 do pcall(shared('d' .. i % 700).set, shared('d' .. i % 700), 'k' .. i, ('x'):rep(i % 99)) end"
    )
    #expect(lua.shared.memoryBytes <= 100_000)
  }

  @Test func `gives up names that hold nothing`() throws {
    let lua = try Pair(memoryBytes: 8 << 20)
    _ = try lua.run("for i = 1, 3000 do shared('name' .. i):set('k', i) shared('name' .. i):delete('k') end")
    _ = try lua.run("kept = {} for i = 1, 1000 do kept[i] = shared('kept' .. i) kept[i]:set('k', i) end")
    let error = failure { _ = try lua.run("shared('one more')") }
    #expect(error?.message == "a.lua:1: there are 1000 shared dictionaries already")
    #expect(try lua.run("return kept[500]:get('k')") == .integer(500))
    _ = try lua.run("kept[500]:delete('k') shared('one more'):set('k', 1)")
    #expect(failure { _ = try lua.run("kept[500]:set('k', 1)") } != nil)
    #expect(try lua.run("return kept[501]:get('k')") == .integer(501))
  }

  @Test func `is found again where an interpreter is brought to another store`() throws {
    let lua = try Pair()
    _ = try lua.run("kept = shared('d', 1) kept:set('k', 'trial')")
    let other = LuaShared()
    lua.first.shared = other
    #expect(try lua.run("return kept:get('k')") == .null)
    #expect(try lua.run("kept:set('a', 1) kept:set('b', 2) return kept:count()") == .integer(1))
    #expect(try lua.second.execute("return shared('d'):get('k')", path: "b.lua") == .text("trial"))
  }

  @Test(arguments: [
    ("d.get('k')", "bad argument #1 to 'get' (shared dictionary expected, got string)"),
    ("d:get(1)", "bad argument #1 to 'get' (string expected, got number)"),
    ("d:get(('k'):rep(1025))", "bad argument #1 to 'get' (a key has at most 1024 bytes)"),
    ("d:set('k')", "bad argument #2 to 'set' (string, number or boolean expected, got no value)"),
    ("d:set('k', {})", "bad argument #2 to 'set' (string, number or boolean expected, got table)"),
    ("d:set('k', ('x'):rep(1048577))", "bad argument #2 to 'set' (a value has at most 1 MiB)"),
    ("d:set('k', 1, -1)", "bad argument #3 to 'set' (seconds must be above 0 and at most 1000000000.0)"),
    ("d:set('k', 1, 0/0)", "bad argument #3 to 'set' (seconds must be above 0 and at most 1000000000.0)"),
    ("d:set('k', 1, '1')", "bad argument #3 to 'set' (number expected, got string)"),
    ("d:incr('text')", "the value of 'text' is no number"), ("d:incr('k', 'x')", "bad argument #2 to 'incr'"),
    ("d:set('k', math.maxinteger) d:incr('k')", "the sum is above 2^63"),
    ("d:incr('k', math.huge)", "the sum is no finite number"),
    ("d:take('k', 0, 1)", "bad argument #2 to 'take' (rate must be above 0 and at most 1000000000000.0)"),
    ("d:take('k', 0/0, 1)", "bad argument #2 to 'take' (rate must be above 0"),
    ("d:take('k', 1, 1, 2)", "bad argument #4 to 'take' (count must be above 0 and at most 1.0)"),
    ("d:take('k', 1, 0.5)", "bad argument #3 to 'take' (burst is below count: there would never be enough)"),
    ("d:take('text', 1, 1)", "the value of 'text' is no token bucket"),
    ("d:take('k', 1, 1) d:incr('k')", "the value of 'k' is no number"),
    ("d:keys(-1)", "bad argument #1 to 'keys' (limit must be from 0 to 10000)"),
    ("shared()", "bad argument #1 to 'shared' (string expected, got no value)"),
    ("shared(('n'):rep(256))", "bad argument #1 to 'shared' (a name has at most 255 bytes)"),
    ("shared('d', 0)", "bad argument #2 to 'shared' (capacity must be from 1 to 1000000)"),
    ("d.x = 1", "attempt to index a shared dictionary value"),
  ])
  func `says what is wrong with an argument`(_ call: String, _ expected: String) throws {
    let lua = try Pair(memoryBytes: 8 << 20)
    let error = failure { _ = try lua.run("local d = shared('d') d:set('text', 'x') \(call)") }
    #expect(error?.kind == .runtime)
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "no error")")
  }

  @Test func `behaves as a table with a clock does, whatever comes`() throws {
    // A model in Lua itself: 20,000 random calls, each compared.
    let lua = try Pair(memoryBytes: 8 << 20)
    let source = """
      local d, model, random = shared("d", 400), {}, math.random
      for i = 1, 20000 do
        local k, what = "k" .. random(300), random(6)
        if what == 1 then local v = ("x"):rep(random(0, 40)) d:set(k, v) model[k] = v
        elseif what == 2 then d:set(k, i) model[k] = i
        elseif what == 3 then assert(d:delete(k) == (model[k] ~= nil)) model[k] = nil
        elseif what == 4 then assert(d:add(k, i / 2) == (model[k] == nil)) model[k] = model[k] or i / 2
        elseif what == 5 and type(model[k]) ~= "string" then
          model[k] = (model[k] or 0) + 2
          assert(d:incr(k, 2) == model[k])
        end
        assert(d:get(k) == model[k])
      end
      local n = 0
      for k, v in pairs(model) do n = n + 1 assert(d:get(k) == v) end
      assert(n == d:count() and n == #d:keys(1000))
      for k in pairs(model) do assert(d:delete(k)) end
      return d:count()
      """
    #expect(try lua.run(source) == .integer(0))
  }
}
