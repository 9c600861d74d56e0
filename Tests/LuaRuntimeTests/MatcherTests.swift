/// Matchers of headers, a plugin's and those that clients write.

import LuaRuntime
import Testing

extension LuaMatcher {
  func matches(_ headers: [String: LuaValue]) throws -> Bool {
    try Letter(headers: headers).withMessage { try matches(&$0) }
  }
}

@Suite struct `A plugin's matcher` {
  private func plugin(_ bind: String, _ match: String) throws -> LuaInterpreter {
    let lua = try interpreter()
    _ = try lua.evaluate(
      "return { matcher = { \(bind) match = function(headers, kept) \(match) end } }", path: "m.lua")
    return lua
  }

  @Test func `keeps what bind returns, for each binding its own`() throws {
    let lua = try plugin(
      "bind = function(a) if a.min then return { min = a.min } end return deny('min is missing') end,",
      "return headers.price and headers.price >= kept.min")
    let cheap = try lua.matcher(LuaValueCodec.tableContent(["min": .integer(1)]))
    let dear = try lua.matcher(LuaValueCodec.tableContent(["min": .integer(100)]))
    #expect(try cheap.matches(["price": .integer(10)]))
    #expect(try !dear.matches(["price": .integer(10)]))
    #expect(try dear.matches(["price": .number(100)]))
    #expect(try !dear.matches([:]))
    let refusal = failure { _ = try lua.matcher([]) }
    #expect(refusal == LuaError(.refused, "min is missing", traceback: refusal?.traceback ?? ""))
  }

  @Test func `needs no bind, when the arguments are kept, but match`() throws {
    let lua = try plugin("", "return headers.a == kept.a")
    #expect(try lua.matcher(LuaValueCodec.tableContent(["a": .integer(1)])).matches(["a": .integer(1)]))
    let other = try interpreter()
    _ = try other.evaluate("return { matcher = {} }", path: "m.lua")
    #expect(failure { _ = try other.matcher([]) }?.message == "the plugin has no matcher.match")
  }

  @Test(arguments: [
    ("return 1", "matcher.match returned a number, expected a boolean"),
    ("return deny('x')", "matcher.match returned a table, expected a boolean"),
    ("error('x', 0)", "x"),
  ])
  func `answers with a boolean`(_ match: String, _ message: String) throws {
    let matcher = try plugin("", match).matcher([])
    #expect(failure { _ = try matcher.matches([:]) }?.message == message)
  }

  @Test func `reads the headers of one message once for all bindings`() throws {
    let lua = try plugin("", "tables = tables or {} tables[headers] = true return headers.n == 1")
    let matchers = try (0..<3).map { _ in try lua.matcher([]) }
    func count() throws -> LuaValue {
      try lua.execute(
        "local n = 0 for _ in pairs(tables or {}) do n = n + 1 end tables = nil return n", path: "x")
    }
    for (serial, tables) in [(5, 1), (6, 1), (6, 1), (0, 3)] as [(UInt64, Int64)] {
      try Letter(headers: ["n": .integer(1)]).withMessage { message in
        message.serial = serial
        for matcher in matchers {
          let said = try matcher.matches(&message)
          #expect(said)
        }
      }
      #expect(try count() == .integer(tables), "serial \(serial)")
    }
  }

  @Test func `that loops is ended`() throws {
    let matcher = try plugin("", "while true do pcall(string.rep, 'x', 1000) end").matcher([])
    for _ in 0..<3 { #expect(failure { _ = try matcher.matches([:]) }?.isLimit == true) }
    #expect(
      failure { _ = try plugin("bind = function() while true do end end,", "").matcher([]) }?.isLimit == true)
  }
}

@Suite struct `An expression` {
  private static func expressions(memoryBytes: Int = 8 << 20) throws -> LuaExpressions {
    try #require(LuaExpressions(limits: LuaLimits(memoryBytes: memoryBytes, seed: 1)))
  }

  @Test(
    arguments: [
      ("headers.price > 100 and headers.region == 'eu'", true), ("headers.price < 100", false),
      ("headers.none", false), ("headers.none == nil -- a comment", true), ("not headers.price", false),
      ("headers.price", true), ("headers.region:upper() == 'EU'", true),
      ("string.find(headers.region, '^e')", true),
      ("math.type(headers.price) == 'integer'", true), ("tonumber('5') == 5 and tostring(5) == '5'", true),
      ("utf8.len(headers.region) == 2 and type(headers) == 'table'", true),
      ("(function(x) return x > 100 end)(headers.price)", true), ("('x'):rep(3) == 'xxx'", true),
      ("headers['region'] .. '!' == 'eu!'\n", true), ("math.random() < 2", true),
    ])
  func `matches as Lua says`(_ text: String, _ matches: Bool) throws {
    let expression = try Self.expressions().compile(text)
    for _ in 0..<2 {
      #expect(try expression.matches(["price": .integer(150), "region": .text("eu")]) == matches)
    }
  }

  @Test(arguments: [
    "", "1) while true do end --", "1, 2", "1;", "return 1", "x = 1", "1 end while true do", "local a", "--",
    "1 2",
    "1) or (2", "1 --[[", "]] 1", "::a::", "goto a", "function f() end", "\u{1B}Lua", "1\n) --",
    String(repeating: "(", count: 500), "headers.a = 1", "a.b.c.",
  ])
  func `is one expression and no more`(_ text: String) throws {
    let error = failure { _ = try Self.expressions().compile(text) }
    #expect(error?.kind == .syntax, "\(text)")
    #expect(error?.message.hasPrefix("x-lua:") == true, "\(error?.message ?? "")")
  }

  @Test func `is short`() throws {
    let expressions = try Self.expressions()
    _ = try expressions.compile("1 --" + String(repeating: " ", count: 4092))
    let error = failure { _ = try expressions.compile(String(repeating: " ", count: 4096) + "1") }
    #expect(error?.message == "x-lua: an expression has at most 4096 bytes")
  }

  @Test(arguments: [
    "rawset", "rawget", "setmetatable", "getmetatable", "load", "require", "coroutine", "shared", "publish",
    "log",
    "_G", "pcall", "next", "pairs", "print", "os", "table", "json", "error", "allow", "null", "string.dump",
    "math.randomseed", "settings", "io", "debug",
  ])
  func `sees nothing else`(_ name: String) throws {
    #expect(try Self.expressions().compile("\(name) == nil").matches([:]))
  }

  @Test(arguments: [
    "(function() string.rep = nil return true end)()", "(function() string = nil return true end)()",
    "(function() x = 1 return true end)()", "(function() _ENV.x = 1 return true end)()",
    "(function() math.pi = 3 return true end)()", "(function() ('').rep = nil return true end)()",
    "getmetatable('').__index", "(function() getmetatable('').__index = {} return true end)()",
    "(function() _G.x = 1 return true end)()", "(function() _ENV.string.rep = nil return true end)()",
    "(function() local s = string for i = 1, 2 do s.x = 1 end end)()", "string.rep('x', 1e9)",
    "headers.a.b.c",
    "string.rep()", "(function(...) local _, e = ... e.x = 1 end)(...)", "math.max({}, 1)",
  ])
  func `that tries to change something fails, and changes nothing`(_ text: String) throws {
    let expressions = try Self.expressions()
    let other = try expressions.compile(
      "('x'):rep(2) == 'xx' and string.rep('x', 2) == 'xx' and math.pi > 3.1 and x == nil and string.x == nil"
    )
    let expression = try expressions.compile(text)
    for _ in 0..<2 {
      #expect(failure { _ = try expression.matches(["a": .integer(1)]) }?.kind == .runtime)
      #expect(try other.matches([:]))
    }
  }

  @Test func `keeps nothing from one message to the next`() throws {
    let expressions = try Self.expressions()
    let kept = try expressions.compile(
      "(function() if _ENV.kept then return false end _ENV = { kept = true } return kept end)()")
    for _ in 0..<3 { #expect(try kept.matches([:])) }
    let headers = try expressions.compile("(function() headers = nil return headers == nil end)()")
    for _ in 0..<3 { #expect(try headers.matches([:])) }
  }

  @Test func `that hits a limit disturbs no other`() throws {
    let expressions = try Self.expressions()
    let good = try expressions.compile("headers.a == 'x'")
    let bad = try [
      "(function() while true do end end)()",
      "(function() local function f() return f() + 1 end return f() end)()",
      "(function() local t = {} for i = 1, 1e9 do t[i] = { i } end end)()",
      "(function() local s = 'x' while true do s = s .. s end end)()",
      "(function() local t, s = {}, ('x'):rep(1000) for i = 1, 1e9 do t[i] = s .. i end end)()",
      "('x'):rep(1e6):rep(100)", "('a'):rep(100000):find(('a-'):rep(1000) .. 'b')",
    ].map { try expressions.compile($0) }
    for _ in 0..<3 {
      for expression in bad {
        #expect(failure { _ = try expression.matches([:]) } != nil)
        #expect(try good.matches(["a": .text("x")]))
      }
    }
    let patient = LuaBudget(instructions: 1 << 40, nanoseconds: 10_000_000_000)
    Letter().withMessage { message in
      #expect(failure { _ = try bad[2].matches(&message, budget: patient) }?.kind == .memory)
    }
    #expect(try good.matches(["a": .text("x")]))
  }

  @Test func `that does not fit is refused, and the others stay`() throws {
    let expressions = try Self.expressions(memoryBytes: 100_000)
    var kept: [LuaExpression] = []
    var error: LuaError?
    while error == nil, kept.count < 10_000 {
      error = failure { kept.append(try expressions.compile("headers.a == '\(kept.count)'")) }
    }
    #expect(error?.kind == .memory)
    let last = kept.count - 1
    #expect(try kept[0].matches(["a": .text("0")]) == true)
    kept.removeFirst(50)
    #expect(try expressions.compile("headers.b").matches(["b": .integer(1)]))
    #expect(try kept[kept.count - 1].matches(["a": .text("\(last)")]))
  }

  @Test func `survives allocations that fail`() throws {
    let expressions = try Self.expressions()
    for nth in 1...60 {
      expressions.failAllocations(from: nth)
      if let expression = try? expressions.compile("headers.a .. 'x' == 'bx' and string.rep('x', 100)") {
        _ = try? expression.matches(["a": .text("b")])
      }
      expressions.failAllocations(from: nil)
    }
    #expect(try expressions.compile("headers.a").matches(["a": .integer(1)]))
  }
}
