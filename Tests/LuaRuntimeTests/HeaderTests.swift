/// `message.headers`: few are a table at once, many are read when they are asked for. No script sees which.

import LuaRuntime
import Testing

private let few: [String: LuaValue] = ["a": .integer(1), "b": .text("two"), "list": .list([.integer(3)])]
private let many = few.merging((0..<20).map { ("extra\($0)", .integer($0)) }) { $1 }
private let long = few.merging(["extra0": .text(String(repeating: "x", count: 300))]) { $1 }

@Suite struct `Headers` {
  @Test(
    arguments: [
      "assert(type(h) == 'table' and h == message.headers and not getmetatable(h) and #h == 0)",
      "assert(h.a == 1 and h.b == 'two' and h.none == nil and h[1] == nil and h[true] == nil and h.list[1] == 3)",
      "assert(h.list == h.list) h.list[2] = 4 assert(#message.headers.list == 2)",
      "h.a = 2 assert(h.a == 2 and h.b == 'two' and message.headers.a == 2)",
      "h.a = nil assert(h.a == nil and h.b == 'two') for k in pairs(h) do assert(k ~= 'a') end",
      "h.list = nil assert(h.list == nil and h.b == 'two')",
      "h[1] = 'x' assert(#h == 1 and h[1] == 'x' and h.a == 1)",
      "table.insert(h, 'x') assert(h[1] == 'x' and h.a == 1)",
      "local n = 0 for k, v in pairs(h) do assert(type(k) == 'string' and h[k] == v) n = n + 1 end assert(n == count)",
      "local n = 0 for k in next, h do n = n + 1 end assert(n == count)",
      "local n, k = 0 repeat k = next(h, k) if k then n = n + 1 end until not k assert(n == count)",
      "for k in pairs(h) do h[k] = nil end assert(next(h) == nil and h.a == nil)",
      "assert(rawget(h, 'a') == 1 and rawlen(h) == 0) rawset(h, 'a', 5) assert(h.a == 5 and h.b == 'two')",
      "assert(json.decode(json.encode(h)).b == 'two' and json.decode(json.encode({ x = h })).x.a == 1)",
      "setmetatable(h, { __index = function() return 'default' end }) assert(h.none == 'default' and h.a == 1)",
      "for _ in ipairs(h) do error('no') end assert(select('#', table.unpack(h)) == 0)",
      "table.sort(h) assert(table.concat(h) == '' and h.a == 1)", "assert(not pcall(table.sort, h, 1))",
      "assert(('$a-$b'):gsub('%$(%w+)', h) == '1-two')",
      "local t = setmetatable({}, { __index = h }) assert(t.b == 'two')",
      "for i = 1, 50 do assert(h.a == 1 and h.none == nil and h.b == 'two') end",
      "local co = coroutine.wrap(function() return h.a, next(h) end) assert(co() == 1)",
      "kept = h", "assert(tostring(h):find('^table'))", "assert(not pcall(setmetatable, h, 1))",
      "h.headers = h assert(h.headers.headers.a == 1)",
    ])
  func `are a table of the script's own`(_ check: String) throws {
    for headers in [few, many, long] {
      let fixture = try FilterFixture("local h, count = message.headers, \(headers.count) \(check)")
      for _ in 0..<3 { #expect(try fixture.run(Letter(headers: headers)) == "none") }
    }
  }

  @Test func `can be kept, and stay what they were`() throws {
    for headers in [few, many, long] {
      let fixture = try FilterFixture("kept[#kept + 1] = message.headers", before: "kept = {}")
      for n in 0..<3 {
        _ = try fixture.run(Letter(headers: headers.merging(["n": .integer(Int64(n))]) { $1 }))
      }
      let said = try fixture.lua.execute(
        "local first = kept[1].b return { first, kept[1].n, kept[2].n, next(kept[3]) ~= nil, kept[3].n }",
        path: "x")
      #expect(said == .list([.text("two"), .integer(0), .integer(1), .boolean(true), .integer(2)]))
    }
  }

  @Test func `can be handed on`() throws {
    for headers in [few, many, long] {
      let whole = canonical(.table(headers))
      #expect(
        try FilterFixture("return change{ headers = message.headers }").run(Letter(headers: headers))
          == "change {headers=\(whole)}")
      #expect(
        try FilterFixture("return change(message.headers)").run(Letter(headers: headers)) == "change \(whole)"
      )
    }
  }

  @Test func `count the first of a name that comes twice`() throws {
    var content: [UInt8] = []
    for value in [1, 2] as [Int64] { content += LuaValueCodec.tableContent(["twice": .integer(value)]) }
    for n in 0..<20 { content += LuaValueCodec.tableContent(["extra\(n)": .integer(0)]) }
    let fixture = try FilterFixture(
      "local h = message.headers local a = h.twice for k, v in pairs(h) do end assert(h.twice == a) return delay(a)"
    )
    #expect(try run(fixture, content) == "delay 1")
  }

  @Test func `that are malformed are an error at the latest when that place is read`() throws {
    let good = LuaValueCodec.tableContent(["a": .integer(1)])
    let filler = (0..<10).flatMap { LuaValueCodec.tableContent(["extra\($0)": .integer(0)]) }
    for bad in [
      [9], [1, 0x6B], [1, 0x6B, 0x7A], [1, 0x6B, 0x53, 0, 0, 0, 9], [1, 0x6B, 0x46, 0, 0, 0, 1, 9],
    ] as [[UInt8]] {
      for content in [good + filler + bad, good + bad] {
        for script in [
          "local x = message.headers.k", "for k in pairs(message.headers) do end", "message.headers.z = 1",
        ] {
          let fixture = try FilterFixture(script)
          #expect(failure { _ = try run(fixture, content) }?.kind == .runtime, "\(bad) \(script)")
          #expect(failure { _ = try run(fixture, content) }?.kind == .runtime)
        }
      }
      let fixture = try FilterFixture(
        "local h = message.headers for i = 1, 9 do pcall(next, h) pcall(rawset, h, 1, 1) end")
      _ = try? run(fixture, good + filler + bad)
    }
  }

  @Test func `that are many do not make a loop over their names slow`() throws {
    let headers = Dictionary(
      uniqueKeysWithValues: (0..<3000).map { ("name\($0)", LuaValue.integer(Int64($0))) })
    let fixture = try FilterFixture(
      "local sum = 0 for i = 0, 2999 do sum = sum + message.headers['name' .. i] end return delay(sum)")
    #expect(try fixture.run(Letter(headers: headers), budget: .hook) == "delay \(2999 * 1500)")
    let misses = try FilterFixture("for i = 1, 1e9 do local x = message.headers.none end")
    #expect(failure { _ = try misses.run(Letter(headers: headers)) }?.isLimit == true)
  }

  private func run(_ fixture: FilterFixture, _ content: [UInt8]) throws -> String {
    let size = withUnsafeBytes(of: UInt32(content.count).bigEndian) { Array($0) }
    return try ([0x20, 0] + size + content).withUnsafeBytes { block in
      try Letter().withMessage { message in
        message.properties = LuaBytes(block)
        return try fixture.hook.run(&message, budget: .hook).shown
      }
    }
  }
}
