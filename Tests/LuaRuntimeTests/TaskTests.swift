/// Hooks that wait.

import LuaRuntime
import Testing

/// A plugin whose `go` is the given text.
private struct Waiting {
  let lua: LuaInterpreter

  init(_ go: String, more: String = "", memoryBytes: Int = 16 << 20) throws {
    lua = try interpreter(memoryBytes: memoryBytes)
    _ = try lua.evaluate("\(more) return { go = function(...) \(go) end }", path: "w.lua")
  }

  func start(_ arguments: [LuaValue] = []) throws -> LuaProgress { try lua.start("go", arguments) }

  /// Resumes with the given answers in turn, and says what was asked and what came out.
  func play(_ answers: [LuaValue], arguments: [LuaValue] = []) throws -> [String] {
    var said: [String] = []
    var progress = try start(arguments)
    var answers = answers[...]
    while case .waiting(let task, let request) = progress {
      said.append(canonical(request))
      guard let answer = answers.popFirst() else { return said }
      progress = try task.resume(with: answer)
    }
    if case .finished(let answer) = progress {
      said.append("\(answer.verdict ?? "-") \(canonical(answer.fields))")
    }
    return said
  }
}

extension LuaProgress {
  var task: LuaTask? { if case .waiting(let task, _) = self { task } else { nil } }
  var answer: LuaAnswer? { if case .finished(let answer) = self { answer } else { nil } }
}

@Suite struct `A hook that may wait` {
  @Test(
    arguments: [
      ("", ["- null"]), ("return 1, 2", ["- 1"]), ("return ...", ["- {user='ann'}"]),
      ("return allow{ tags = { 'a' }, as = { tenant = 'acme' } }", ["allow {as={tenant='acme'} tags=['a']}"]),
      ("return deny('no')", ["deny {reason='no'}"]),
      ("return { verdict = 'allow' }", ["- {verdict='allow'}"]),
      ("return null", ["- null"]),
      ("local v = deny('x') v.verdict = 1 return v", ["- {reason='x' verdict=1}"]),
    ])
  func `need not wait`(_ go: String, _ expected: [String]) throws {
    #expect(try Waiting(go).play([], arguments: [.table(["user": .text("ann")])]) == expected)
  }

  @Test(
    arguments: [
      ("return sleep(1.5)", [.list([])], ["['sleep' 1.5f]", "- null"]),
      ("sleep(1) sleep(2) return 'done'", [.null, .null], ["['sleep' 1.0f]", "['sleep' 2.0f]", "- 'done'"]),
      (
        "local list, reason = dns.resolve('a.b') return { list, reason }", [.list([.list([.text("::1")])])],
        ["['dns.resolve' 'a.b']", "- [['::1']]"]
      ),
      (
        "local r, reason = dns.resolve('a.b') return { r == nil, reason, select('#', nil, 1) }",
        [.list([.null, .text("no such name")])], ["['dns.resolve' 'a.b']", "- [true 'no such name' 2]"]
      ),
      (
        "local r = challenge('who?') return allow{ user = r }", [.list([.text("ann")])],
        ["['challenge' 'who?']", "allow {user='ann'}"]
      ),
      (
        "local r = http.request{ url = 'http://x/', method = 'POST', body = 'b', timeout = 2, headers = { A = 'b' } }"
          + " return r.status .. r.body .. tostring(r.none)",
        [.list([.table(["status": .integer(200), "body": .text("ok"), "none": .null])])],
        [
          "['http.request' {body='b' headers={A='b'} method='POST' timeout=2 url='http://x/'}]",
          "- '200oknull'",
        ]
      ),
      ("return challenge('x') + 1", [.integer(41)], ["['challenge' 'x']", "- 42"]),
      (
        "local function deep(n) if n == 0 then return challenge('x') end return deep(n - 1) .. '.' end return deep(3)",
        [.text("r")], ["['challenge' 'x']", "- 'r...'"]
      ),
      (
        "for i, v in (function() return challenge('next'), 1 end) do if i == 'stop' then return v end end",
        [.list([.text("go")]), .list([.text("stop")])],
        ["['challenge' 'next']", "['challenge' 'next']", "- 1"]
      ),
      (
        "return setmetatable({}, { __index = function(_, k) return challenge(k) end }).key", [.text("v")],
        ["['challenge' 'key']", "- 'v'"]
      ),
      (
        "local ok, e = pcall(function() sleep(1) error('x', 0) end) return { ok, e }", [.null],
        ["['sleep' 1.0f]", "- [false 'x']"]
      ),
      (
        "return { pcall(challenge, 'a') }", [.list([.text("b"), .integer(3)])],
        ["['challenge' 'a']", "- [true 'b' 3]"]
      ),
      (
        "return { xpcall(function(x) challenge(x) error('e', 0) end, function(e) return e .. '!' end, 'a') }",
        [.null], ["['challenge' 'a']", "- [false 'e!']"]
      ),
    ] as [(String, [LuaValue], [String])])
  func `waits for what it says, and gets what is answered`(
    _ go: String, _ answers: [LuaValue], _ expected: [String]
  ) throws {
    #expect(try Waiting(go).play(answers) == expected)
  }

  @Test func `can be answered with an error`() throws {
    let fixture = try Waiting("local ok, e = pcall(challenge, 'x') return e")
    #expect(try fixture.start().task?.resume(failing: "not here").answer?.fields == .text("not here"))
    let uncaught = try Waiting("\nchallenge('x')").start().task
    #expect(failure { _ = try uncaught?.resume(failing: "not here") }?.message == "w.lua:2: not here")
  }

  @Test(
    arguments: [
      ("sleep('x')", "bad argument #1 to 'sleep' (number expected, got string)"),
      ("sleep(61)", "bad argument #1 to 'sleep' (0 to 60 seconds expected)"),
      ("sleep(-1)", "bad argument #1 to 'sleep' (0 to 60 seconds expected)"),
      ("sleep(0/0)", "bad argument #1 to 'sleep' (0 to 60 seconds expected)"),
      ("dns.resolve('')", "bad argument #1 to 'resolve' (a name of 1 to 253 bytes expected)"),
      ("dns.resolve()", "bad argument #1 to 'resolve' (string expected, got no value)"),
      ("challenge(1)", "bad argument #1 to 'challenge' (string expected, got number)"),
      ("http.request('http://x')", "http.request takes a table"),
      ("http.request{}", "http.request needs a url"),
      (
        "http.request{ url = 'ftp://x' }",
        "http.request: url must begin with http:// or https:// and have no spaces"
      ),
      (
        "http.request{ url = 'http://a b' }",
        "http.request: url must begin with http:// or https:// and have no spaces"
      ),
      ("http.request{ url = 'http://x', verb = 'GET' }", "http.request has no option 'verb'"),
      ("http.request{ 'http://x' }", "http.request: an option's name is a number"),
      ("http.request{ url = 'http://x', method = 'G T' }", "http.request: method must be a word"),
      ("http.request{ url = 'http://x', headers = 'x' }", "http.request: headers must be a table"),
      ("http.request{ url = 'http://x', headers = { 'x' } }", "http.request: a header's name is none"),
      (
        "http.request{ url = 'http://x', headers = { a = 'x\\r\\ny' } }",
        "http.request: header 'a' must be a text of one line"
      ),
      (
        "http.request{ url = 'http://x', body = ('x'):rep(2^20 | 1) }",
        "http.request: body must be a text of at most 1 MiB"
      ),
      ("http.request{ url = 'http://x', timeout = 0 }", "http.request: timeout must be 0 to 30 seconds"),
      ("coroutine.yield(1)", "attempt to yield from outside a coroutine"),
      (
        "coroutine.wrap(function() sleep(1) end)()",
        "sleep waits, and may do so only in the hook itself, not in a coroutine of the script's own"
      ),
      (
        "table.sort({ 1, 2 }, function() sleep(1) end)",
        "sleep waits, and may not do so in a function that sort, gsub, require or the like calls"
      ),
      (
        "(('x'):gsub('x', function() http.request{ url = 'http://x' } end))",
        "http.request waits, and may not do so in a function that sort, gsub, require or the like calls"
      ),
    ])
  func `says what is wrong with a wait, and can catch it`(_ go: String, _ message: String) throws {
    let error = failure { _ = try Waiting("local _ = \(go)").start() }
    #expect(error?.kind == .runtime)
    #expect(error?.message.hasSuffix(message) == true, "\(error?.message ?? "")")
    let caught = try Waiting("return select(2, pcall(function() local _ = \(go) end))").start()
    guard case .text(let text)? = caught.answer?.fields else {
      throw LuaError(.runtime, "nothing was caught")
    }
    #expect(text.hasSuffix(message))
  }

  @Test(
    arguments: [
      ("exchange = { route = function() sleep(1) end }", "route"),
      ("filters = { publish = { run = function() dns.resolve('x') end } }", "filters.publish.run"),
      ("matcher = { match = function() challenge('x') end }", "matcher.match"),
      ("declare = function() http.request{ url = 'http://x' } end", "this hook"),
    ])
  func `is told apart from one that may not`(_ hook: String, _ name: String) throws {
    let lua = try interpreter()
    _ = try lua.evaluate("return { \(hook) }", path: "x.lua")
    let error = failure {
      switch name {
      case "route":
        let routes = try LuaRoutes(lua, definition: [])
        try Letter().withMessage { _ = try routes.route(&$0) }
      case "matcher.match":
        let matcher = try lua.matcher([])
        _ = try matcher.matches([:])
      case "this hook": _ = try lua.call("declare")
      default:
        let found = try lua.hook(name)
        try Letter().withMessage { _ = try found?.run(&$0) }
      }
    }
    #expect(error?.message.hasSuffix(" waits, and \(name) may not wait") == true, "\(error?.message ?? "")")
    #expect(
      failure { _ = try lua.evaluate("sleep(1)", path: "y") }?.message.contains("this hook may not wait")
        == true)
  }

  @Test func `lets other calls run while it waits`() throws {
    let fixture = try Waiting(
      "n = (n or 0) + 1 local mine = n sleep(1) return { mine, n }", more: "local n")
    let tasks = try (0..<10).map { _ in try #require(try fixture.start().task) }
    #expect(try fixture.lua.execute("return 1", path: "x") == .integer(1))
    for (at, task) in tasks.enumerated().reversed() {
      let answer = try task.resume(with: .list([])).answer
      #expect(answer?.fields == .list([.integer(Int64(at + 1)), .integer(10)]))
    }
  }

  @Test func `names file and line, with the traceback of where it stands`() throws {
    let fixture = try Waiting("\nlocal function inner()\nsleep(1)\nerror('late') end\ninner()")
    let task = try fixture.start().task
    let error = failure { _ = try task?.resume(with: .null) }
    #expect(error?.message == "w.lua:4: late")
    #expect(
      error?.traceback.contains("w.lua:4: in upvalue 'inner'") == true
        || error?.traceback.contains("w.lua:4: in local 'inner'") == true)
    #expect(failure { _ = try task?.resume(with: .null) }?.message == "the hook is over")
  }

  @Test func `is no one else's to resume`() throws {
    let fixture = try Waiting(
      "co = coroutine.running() local ok, e = pcall(coroutine.resume, co) sleep(1) return e", more: "co = nil"
    )
    let task = try fixture.start().task
    let said = try fixture.lua.execute("return select(2, pcall(coroutine.resume, co))", path: "x")
    #expect(said == .text("cannot resume a hook: it goes on when what it waits for is there"))
    #expect(try task?.resume(with: .null).answer?.fields == said)
    let dead = try fixture.lua.execute("return select(2, coroutine.resume(co))", path: "x")
    #expect(dead == .text("cannot resume dead coroutine"))
  }
}

@Suite struct `Limits of waiting` {
  @Test(arguments: [
    "sleep(1) while true do end", "while true do pcall(function() sleep(1) while true do end end) end",
    "while true do pcall(sleep, 1) while true do end end",
    "while true do xpcall(function() sleep(1) while true do end end, function() while true do end end) end",
    "sleep(1) local t = {} for i = 1, 1e9 do t[i] = { i } end",
    "sleep(1) coroutine.wrap(function() while true do end end)()",
    "local x <close> = setmetatable({}, { __close = function() while true do end end }) sleep(1) error('x')"
      + " while true do end",
    "pcall(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) sleep(1) end)",
    "sleep(1) local function f() return f() + 1 end while true do pcall(f) end",
  ])
  func `pass through what stood around the wait`(_ go: String) throws {
    let fixture = try Waiting(go)
    for _ in 0..<3 {
      let task = try #require(try fixture.start().task)
      let error = failure { _ = try task.resume(with: .null) }
      #expect(
        error?.isLimit == true || error?.message.contains("x") == true, "\(error?.message ?? "ended well")")
      #expect(failure { _ = try task.resume(with: .null) }?.kind == .refused)
      #expect(try fixture.lua.execute("return 1", path: "x") == .integer(1))
    }
  }

  @Test func `are anew after each wait`() throws {
    let fixture = try Waiting("for i = 1, 5 do for j = 1, 300000 do end sleep(1) end return 'done'")
    let each = LuaBudget(instructions: 500_000, nanoseconds: 1_000_000_000)
    var progress = try fixture.lua.start("go", budget: each)
    var waits = 0
    while let task = progress.task {
      waits += 1
      progress = try task.resume(with: .null, budget: each)
    }
    #expect(waits == 5)
    #expect(progress.answer?.fields == .text("done"))
  }

  @Test func `are a hundred waits a hook`() throws {
    let fixture = try Waiting("for i = 1, 1000 do sleep(1) end")
    var task = try fixture.start().task
    var waits = 0
    var error: LuaError?
    while let waiting = task, error == nil {
      waits += 1
      error = failure { task = try waiting.resume(with: .null).task }
    }
    #expect(waits == 100)
    #expect(error?.message == "w.lua:1: sleep: a hook may wait 100 times at most")
  }

  @Test func `are a thousand waiting hooks`() throws {
    let fixture = try Waiting("sleep(1) return 'done'")
    var tasks = try (0..<1000).map { _ in try #require(try fixture.start().task) }
    #expect(
      failure { _ = try fixture.start() }?.message == "w.lua:1: sleep: 1000 hooks of this plugin wait already"
    )
    #expect(try tasks[500].resume(with: .null).answer?.fields == .text("done"))
    tasks.append(try #require(try fixture.start().task))
    #expect(failure { _ = try fixture.start() } != nil)
    tasks[3].cancel()
    tasks.append(try #require(try fixture.start().task))
    tasks.removeAll()
    for _ in 0..<1000 { tasks.append(try #require(try fixture.start().task)) }
    #expect(try tasks[999].resume(with: .null).answer?.fields == .text("done"))
  }

  @Test func `of memory end a hook that piles up, and no other`() throws {
    let fixture = try Waiting("local s = ('x'):rep(100000) sleep(1) return #s", memoryBytes: 4 << 20)
    var tasks: [LuaTask] = []
    var error: LuaError?
    while error == nil {
      error = failure { if let task = try fixture.start().task { tasks.append(task) } }
    }
    #expect(error?.kind == .memory)
    #expect(tasks.count > 10)
    for task in tasks { #expect(try task.resume(with: .null).answer?.fields == .integer(100_000)) }
  }
}

@Suite struct `A hook that is given up` {
  @Test func `is over, and what it held is freed`() throws {
    let fixture = try Waiting("local x <close> = setmetatable({}, { __close = error }) sleep(1) return 1")
    let task = try #require(try fixture.start().task)
    task.cancel()
    task.cancel()
    #expect(failure { _ = try task.resume(with: .null) }?.message == "the hook is over")
    for _ in 0..<5000 { _ = try fixture.start() }
    #expect(fixture.lua.memoryBytes < 4 << 20)
  }

  @Test func `may be so in the middle of its run`() throws {
    final class Canceller: LuaHost {
      var task: LuaTask?
      func log(_ level: LuaLogLevel, _ text: String) { task?.cancel() }
    }
    let host = Canceller()
    let lua = try interpreter(host: host)
    _ = try lua.evaluate(
      """
      return { go = function(again) sleep(1) log.info("x") local t = {} for i = 1, 1e4 do t[i] = {} end
        if again then sleep(1) end return "done" end }
      """, path: "w.lua")
    for again in [true, false] {
      host.task = try lua.start("go", [.boolean(again)]).task
      let task = try #require(host.task)
      if again {
        #expect(failure { _ = try task.resume(with: .null) }?.message == "the hook was given up")
      } else {
        #expect(try task.resume(with: .null).answer?.fields == .text("done"))
      }
      #expect(failure { _ = try task.resume(with: .null) }?.kind == .refused)
    }
    // Another waits while the host gives it up from within a call.
    host.task = try lua.start("go", [.boolean(true)]).task
    _ = try lua.execute("log.info('x') coroutine.wrap(function() log.info('y') end)()", path: "x")
    #expect(failure { _ = try host.task?.resume(with: .null) }?.message == "the hook is over")
  }

  @Test func `may outlive all else that knew its interpreter`() throws {
    var task: LuaTask?
    do { task = try Waiting("sleep(1) return 'late'").start().task }
    #expect(try task?.resume(with: .null).answer?.fields == .text("late"))
    do { task = try Waiting("sleep(1) return 'late'").start().task }
    task = nil
  }

  @Test func `survives allocations that fail`() throws {
    let fixture = try Waiting(
      """
      local ok, r = pcall(http.request, { url = "http://x/", headers = { a = "b" } })
      return allow{ tags = { r and r.body, tostring(ok) } }
      """)
    for nth in 1...60 {
      fixture.lua.failAllocations(from: nth)
      let task = try? fixture.start().task
      fixture.lua.failAllocations(from: nil)
      fixture.lua.failAllocations(from: (nth + 1) / 2)
      _ = try? task?.resume(with: .list([.table(["body": .text("b")])]))
      fixture.lua.failAllocations(from: nil)
    }
    #expect(
      try fixture.play([.list([.table(["body": .text("b")])])]).last == "allow {tags=['b' 'true']}")
  }
}

@Suite struct `A plugin's tests` {
  @Test func `may answer what would wait`() throws {
    let lua = try interpreter()
    try lua.allowTests()
    let said = try lua.execute(
      """
      local host = require("yutu.host")
      host.waits(function(name, request) return name, request end)
      local a, b = sleep(2)
      local c, d = http.request{ url = "http://x/" }
      host.waits(nil)
      return { a, b, c, d.url, select(2, pcall(sleep, 1)) }
      """, path: "t.lua")
    #expect(
      said
        == .list([
          .text("sleep"), .number(2), .text("http.request"), .text("http://x/"),
          .text("sleep waits, and this hook may not wait"),
        ]))
  }
}
