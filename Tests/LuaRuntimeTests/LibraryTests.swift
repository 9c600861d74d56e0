/// What the host gives to scripts beyond Lua's own libraries: sums, codes, addresses, patterns, metrics,
/// messages.

import LuaRuntime
import Testing

/// Writes down what scripts publish and count.
final class Ledger: LuaHost {
  var published: [(fields: [String: LuaValue], copies: Bool)] = []
  var refusal: LuaPublishRefusal?
  var series: [String] = []
  var values: [UInt64: [Double]] = [:]

  func log(_ level: LuaLogLevel, _ text: String) {}

  func publish(_ fields: LuaBytes, copiesMessage: Bool) -> LuaPublishRefusal? {
    published.append((LuaValueCodec.table(fields.buffer) ?? [:], copiesMessage))
    return refusal
  }

  func metricSeries(_ kind: LuaMetric, _ name: String, labels: [String: String]) -> UInt64? {
    let texts = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    series.append("\(kind) \(name) \(texts.joined(separator: ","))")
    return UInt64(series.count)
  }

  func metricAdd(_ series: UInt64, _ value: Double) { values[series, default: []].append(value) }
}

private func check(_ expressions: [String]) throws {
  let lua = try interpreter()
  for expression in expressions {
    let value = try? lua.execute("return (\(expression))", path: "check.lua")
    let error = failure { _ = try lua.execute("return (\(expression))", path: "c") }
    #expect(value == .boolean(true), "\(expression): \(error?.message ?? "false")")
  }
}

private func message(_ source: String, host: (any LuaHost)? = nil) throws -> String? {
  let lua = try interpreter(host: host)
  return failure { _ = try lua.execute(source, path: "a.lua") }?.message
}

@Suite struct `The library` {
  @Test func `codes base64`() throws {
    try check([
      "base64.encode('') == ''", "base64.encode('f') == 'Zg=='", "base64.encode('fo') == 'Zm8='",
      "base64.encode('foo') == 'Zm9v'", "base64.encode('foob') == 'Zm9vYg=='",
      "base64.decode('') == ''", "base64.decode('Zg==') == 'f'", "base64.decode('Zm8') == 'fo'",
      "base64.decode('-_-_') == '\\xfb\\xff\\xbf'", "base64.decode('+/+/') == '\\xfb\\xff\\xbf'",
      "base64.decode('Z') == nil", "base64.decode('Zh==') == nil", "base64.decode('Zm9=') == nil",
      "base64.decode('Zg=a') == nil", "base64.decode('Z g=') == nil", "base64.decode('====') == nil",
      "base64.decode('=') == nil", "base64.decode('Zm9vZg=') == nil",
      "(function() for n = 0, 300 do local t = {} for i = 1, n do t[i] = string.char((i * 37 + n) % 256) end "
        + "t = table.concat(t) if base64.decode(base64.encode(t)) ~= t then return n end end return true end)()",
    ])
  }

  @Test func `sums as the world does`() throws {
    try check([
      "hash.md5('') == 'd41d8cd98f00b204e9800998ecf8427e'",
      "hash.sha1('abc') == 'a9993e364706816aba3e25717850c26c9cd0d89d'",
      "hash.sha256('abc') == 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'",
      "hash.sha256(('x'):rep(100000)) == hash.sha256(('x'):rep(100000)) and #hash.sha256('') == 64",
      "hmac.sha256('key', 'The quick brown fox jumps over the lazy dog') == "
        + "'f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8'",
      "hmac.sha1('key', 'The quick brown fox jumps over the lazy dog') == "
        + "'de7c9b85b8b78aa6bc8a7a36f70a90701c9db4d9'",
      "hmac.sha256('', '') == 'b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad'",
    ])
  }

  @Test func `checks passwords as RabbitMQ keeps them`() throws {
    // From RabbitMQ's documentation: salt 908DC60A, password test12. The longer one is SHA-512 of the same kind.
    try check([
      "password.check('kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR', 'test12')",
      "not password.check('kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR', 'test13')",
      "not password.check('kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR', '')",
      "not password.check('', '')", "not password.check('nonsense', 'x')", "not password.check('!', 'x')",
      "not password.check(('A'):rep(96), 'x')", "not password.check(('A'):rep(1000), 'x')",
      "password.check(password.hash('grün'), 'grün')", "password.check(password.hash(''), '')",
      "password.hash('x') ~= password.hash('x') and #password.hash('x') == 48",
      "not password.check(password.hash('x'), 'x' .. ('y'):rep(5000))",
      "password.check('AQIDBPO+LeWEyzBJRjrktZK0SErKypCVLZCud+ewtytc2RUUZrZRPJIOx54uv4GBm8wvd5Yg/XNuW3A5RiMLmF/N7yM=', 'test')",
      "not password.check('AQIDBPO+LeWEyzBJRjrktZK0SErKypCVLZCud+ewtytc2RUUZrZRPJIOx54uv4GBm8wvd5Yg/XNuW3A5RiMLmF/N7yM=', 'Test')",
    ])
    #expect(try message("password.hash(('x'):rep(4097))")?.contains("at most 4096 bytes") == true)
  }

  @Test func `makes UUIDs that are of version 4 and never twice the same`() throws {
    try check([
      "uuid():match('^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$') ~= nil",
      "(function() local seen = {} for i = 1, 1000 do local u = uuid() if seen[u] then return false end "
        + "seen[u] = true end return true end)()",
    ])
  }

  @Test(arguments: [
    ("10.1.2.3", "10.0.0.0/8", true), ("11.1.2.3", "10.0.0.0/8", false), ("10.1.2.3", "10.9.9.9/8", true),
    ("1.2.3.4", "0.0.0.0/0", true), ("1.2.3.4", "1.2.3.4", true), ("1.2.3.5", "1.2.3.4/31", true),
    ("1.2.3.6", "1.2.3.4/31", false), ("::1", "::1/128", true), ("2001:db8::7", "2001:db8::/32", true),
    ("2001:db9::7", "2001:db8::/32", false), ("fe80::1%eth0", "fe80::/10", true), ("1.2.3.4", "::/0", false),
    ("::1", "0.0.0.0/0", false), ("::ffff:10.0.0.1", "10.0.0.0/8", true),
    ("10.0.0.1", "::ffff:10.0.0.0/104", true),
    ("::ffff:11.0.0.1", "10.0.0.0/8", false), ("", "10.0.0.0/8", false), ("10.0.0", "10.0.0.0/8", false),
    ("10.0.0.1.2", "10.0.0.0/8", false), ("example.com", "10.0.0.0/8", false),
    ("10.0.0.1 ", "10.0.0.0/8", false),
    (String(repeating: "1", count: 1000), "10.0.0.0/8", false),
  ])
  func `knows which addresses a network has`(_ address: String, _ network: String, _ inside: Bool) throws {
    #expect(
      try interpreter().execute("return net.in_cidr('\(address)', '\(network)')", path: "a")
        == .boolean(inside))
  }

  @Test(arguments: [
    "", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "10.0.0.0/8x", "10.0.0.0/-1", "/8", "x",
  ])
  func `names a network that is none`(_ network: String) throws {
    #expect(
      try message("net.in_cidr('10.0.0.1', '\(network)')")
        == "a.lua:1: bad argument #2 to 'in_cidr' ('\(network)' is no network such as 10.0.0.0/8)")
  }

  @Test func `matches patterns, and pays for it`() throws {
    try check([
      "regex.match('^orders\\\\.', 'orders.eu')", "not regex.match('^orders\\\\.', 'orders')",
      "regex.match('[[:digit:]]+$', 'a12') and not regex.match('[[:digit:]]+$', 'a12b')",
      "regex.match('', '')", "regex.match('a\\0b', 'xa\\0b')",
      "(function() for i = 1, 200 do local p = '^k' .. i % 100 .. '$' "
        + "if not regex.match(p, 'k' .. i % 100) or regex.match(p, 'k') then return i end end return true end)()",
      "not regex.match('(a*)*b', ('a'):rep(50000))",
    ])
    #expect(
      try message("regex.match('(a', 'a')")
        == "a.lua:1: bad argument #1 to 'match' (missing ) at byte 3 of the regular expression)")
    let lua = try interpreter()
    let dear = "regex.match('(a|b)*a(a|b){300}x', ('ab'):rep(500000))"
    #expect(failure { _ = try lua.execute(dear, path: "a.lua", budget: .route) }?.isLimit == true)
  }
}

@Suite struct `Metrics` {
  @Test func `go to the host as series and values`() throws {
    let ledger = Ledger()
    let lua = try interpreter(host: ledger)
    _ = try lua.execute(
      """
      for i = 1, 3 do metrics.counter("orders_total") end
      metrics.counter("orders_total", 2.5, { country = "de", kind = "x" })
      metrics.counter("orders_total", 1, { kind = "x", country = "de" })
      metrics.counter("orders_total", nil, { country = "d", kind = "ex" })
      metrics.gauge("orders_total", -1)
      assert(metrics.histogram("seconds", 0.25, {}))
      """, path: "a.lua")
    #expect(
      ledger.series == [
        "counter orders_total ", "counter orders_total country=de,kind=x",
        "counter orders_total country=d,kind=ex",
        "gauge orders_total ", "histogram seconds ",
      ])
    #expect(ledger.values == [1: [1, 1, 1], 2: [2.5, 1], 3: [1], 4: [-1], 5: [0.25]])
  }

  @Test func `have at most a thousand series`() throws {
    let ledger = Ledger()
    let lua = try interpreter(host: ledger)
    let last = try lua.execute(
      "local n = 0 for i = 1, 1500 do if metrics.gauge('g', i, { i = tostring(i) }) then n = n + 1 end end return n",
      path: "a.lua")
    #expect(last == .integer(1000))
    #expect(ledger.series.count == 1000)
    #expect(try lua.execute("return metrics.gauge('g', 7, { i = '1000' })", path: "a.lua") == .boolean(true))
    #expect(ledger.values[1000] == [1000, 7])
    #expect(try interpreter().execute("return metrics.counter('a')", path: "a.lua") == .boolean(false))
  }

  @Test(arguments: [
    ("counter('a', -1)", "a counter only goes up"), ("counter('a', 0/0)", "must be finite"),
    ("gauge('a', 1/0)", "must be finite"), ("gauge('a')", "number expected, got no value"),
    ("gauge('a', '1')", "number expected, got string"), ("counter('a b')", "letters, digits and _"),
    ("counter('1a')", "letters, digits and _"), ("counter('')", "letters, digits and _"),
    ("counter(('a'):rep(129))", "at most 128"), ("counter(1)", "string expected, got number"),
    ("counter('a', 1, 'x')", "table expected, got string"),
    ("counter('a', 1, { 'x' })", "a label's name must be"),
    ("counter('a', 1, { ['x-y'] = '1' })", "a label's name must be"),
    ("counter('a', 1, { x = 1 })", "label 'x' must be a string of at most 128 bytes"),
    ("counter('a', 1, { x = ('y'):rep(129) })", "label 'x' must be a string of at most 128 bytes"),
    ("counter('a', 1, { a='',b='',c='',d='',e='',f='',g='',h='',i='' })", "at most 8 labels"),
  ])
  func `say what is wrong with an argument`(_ call: String, _ expected: String) throws {
    let text = try message("metrics.\(call)", host: Ledger())
    #expect(text?.contains(expected) == true, "\(text ?? "no error")")
  }
}

@Suite struct `Publish` {
  @Test func `hands a message to the host`() throws {
    let ledger = Ledger()
    let value = try interpreter(host: ledger).execute(
      """
      return publish{ exchange = "x", routing_key = "k", body = "b", headers = { timestamp = 5, n = { 1, null } },
        delivery_mode = 2, priority = 0, timestamp = 7, content_type = "text/plain", app_id = null, vhost = "/" }
      """, path: "a.lua")
    #expect(value == .boolean(true))
    let sent = try #require(ledger.published.first)
    #expect(!sent.copies)
    #expect(
      sent.fields == [
        "exchange": .text("x"), "routing_key": .text("k"), "body": .text("b"),
        "headers": .table(["timestamp": .integer(5), "n": .list([.integer(1), .null])]),
        "delivery_mode": .integer(2), "priority": .integer(0), "timestamp": .integer(7),
        "content_type": .text("text/plain"), "app_id": .null, "vhost": .text("/"),
      ])
  }

  @Test func `copies the message under way`() throws {
    let ledger = Ledger()
    let fixture = try Fixture(
      route:
        "publish(message, { queue = 'audit', remove = { 'a', 'b' } }) publish(message, { headers = {} }) publish(message)",
      host: ledger)
    _ = try fixture.route()
    #expect(ledger.published.map(\.copies) == [true, true, true])
    #expect(
      ledger.published[0].fields == ["queue": .text("audit"), "remove": .list([.text("a"), .text("b")])])
    #expect(ledger.published[1].fields == ["headers": .table([:])])
    #expect(ledger.published[2].fields == [:])
  }

  @Test func `does not copy a message that is gone`() throws {
    let fixture = try Fixture(route: "kept = message", host: Ledger())
    _ = try fixture.route()
    let error = failure { _ = try fixture.lua.execute("publish(kept, {})", path: "a.lua") }
    #expect(
      error?.message == "a.lua:1: the message is gone: it is valid during the call that it was given to")
  }

  @Test func `gives nil and the reason when the host refuses`() throws {
    let ledger = Ledger()
    ledger.refusal = LuaPublishRefusal("no exchange 'ü' in vhost '/'")
    let source = "local ok, reason = publish{ exchange = 'ü' } return { ok == nil, reason }"
    #expect(
      try interpreter(host: ledger).execute(source, path: "a.lua")
        == .list([.boolean(true), .text("no exchange 'ü' in vhost '/'")]))
    ledger.refusal = LuaPublishRefusal(String(repeating: "x", count: 1000))
    #expect(
      try interpreter(host: ledger).execute("return #select(2, publish{ exchange = 'x' })", path: "a.lua")
        == .integer(255))
    #expect(
      try interpreter().execute("return (select(2, publish{ exchange = 'x' }))", path: "a.lua")
        == .text("publishing is not possible here"))
  }

  @Test func `publishes at most a thousand in a call`() throws {
    let ledger = Ledger()
    let lua = try interpreter(host: ledger)
    let source = "for i = 1, 1001 do publish{ exchange = 'x' } end"
    #expect(
      failure { _ = try lua.execute(source, path: "a.lua") }?.message
        == "a.lua:1: more than 1000 messages in a call")
    #expect(ledger.published.count == 1000)
    _ = try lua.execute("publish{ exchange = 'x' }", path: "a.lua")
    #expect(ledger.published.count == 1001)
  }

  @Test func `publishes at most a hundred for a message`() throws {
    let filter = try FilterFixture("for i = 1, 101 do publish{ exchange = 'x' } end")
    #expect(
      failure { _ = try filter.run(budget: .hook) }?.message == "f.lua:1: more than 100 messages in a call")
  }

  @Test(arguments: [
    ("publish()", "table expected, got no value"), ("publish('x')", "table expected, got string"),
    ("publish{}", "publish: an exchange, a routing_key or a queue is needed"),
    ("publish{ exchnge = 'x' }", "publish: there is no field 'exchnge'"),
    ("publish{ 'x' }", "publish: a field's name must be a string"),
    ("publish{ exchange = 1 }", "publish: exchange must be a string of at most 255 bytes"),
    ("publish{ exchange = null }", "publish: exchange must be a string of at most 255 bytes"),
    ("publish{ queue = ('q'):rep(256) }", "publish: queue must be a string of at most 255 bytes"),
    ("publish{ queue = 'q', body = {} }", "publish: body must be a string"),
    ("publish{ queue = 'q', headers = 'x' }", "publish: headers must be a table"),
    ("publish{ queue = 'q', headers = { 1 } }", "publish: headers must be a table whose names are strings"),
    ("publish{ queue = 'q', headers = { a = print } }", "a field may not hold a function"),
    ("publish{ queue = 'q', remove = { 'x' } }", "publish: remove needs a message"),
    ("publish{ queue = 'q', delivery_mode = 3 }", "publish: delivery_mode must be 1 or 2"),
    ("publish{ queue = 'q', priority = 256 }", "publish: priority must be an integer from 0 to 255"),
    ("publish{ queue = 'q', priority = 1.5 }", "publish: priority must be an integer from 0 to 255"),
    ("publish{ queue = 'q', timestamp = {} }", "publish: timestamp must be an integer: seconds since 1970"),
    ("publish{ queue = 'q', expiration = 60 }", "publish: expiration must be a string of at most 255 bytes"),
    ("publish(change{ queue = 'q' })", "publish: there is no field 'verdict'"),
  ])
  func `says what is wrong with a message`(_ call: String, _ expected: String) throws {
    let ledger = Ledger()
    let text = try message(call, host: ledger)
    #expect(text?.contains(expected) == true, "\(text ?? "no error")")
    #expect(ledger.published.isEmpty)
  }
}

@Suite struct `A trial` {
  @Test func `answers as if it were none, and changes nothing`() throws {
    let ledger = Ledger()
    let lua = try interpreter(host: ledger)
    _ = try lua.execute("d = shared('d') d:set('n', 5) d:take('b', 1, 2)", path: "a.lua")
    lua.dry = true
    let answers = try lua.execute(
      """
      d:set('new', 1) d:set('n', 9)
      return { d:incr('n'), d:incr('n'), d:incr('other', 2), d:add('new', 1), d:add('n', 1), d:delete('n'),
        d:take('b', 1e-9, 2), d:take('b', 1e-9, 2), publish{ exchange = 'x' }, metrics.counter('c') }
      """, path: "a.lua")
    #expect(
      answers
        == .list(
          [.integer(6), .integer(6), .integer(2), .boolean(true), .boolean(false), .boolean(true)]
            + Array(repeating: .boolean(true), count: 4)))
    #expect(failure { _ = try lua.execute("publish{}", path: "a.lua") } != nil)
    lua.dry = false
    #expect(
      try lua.execute("return { d:get('n'), d:count() }", path: "a.lua") == .list([.integer(5), .integer(2)]))
    #expect(ledger.published.isEmpty && ledger.series.isEmpty)
  }
}

@Suite struct `Without memory` {
  @Test func `a library function raises, and does no harm`() throws {
    let source = """
      local d = shared("d" .. tostring(uuid()), 10)
      for i = 1, 20 do d:set("k" .. i, ("x"):rep(i)) d:incr("n" .. i) end
      local all = table.concat(d:keys(), d:get("k20"))
      publish{ queue = all:sub(1, 200), headers = { a = { b = all } }, body = base64.decode(base64.encode(all)) }
      metrics.counter("c", 1, { a = hash.sha256(all):sub(1, 9) })
      return regex.match("^[a-z]+" .. #all, all) or password.check(password.hash(all), "x")
      """
    for nth in 1...250 {
      let ledger = Ledger()
      let lua = try interpreter(host: ledger)
      lua.failAllocations(from: nth)
      _ = try? lua.execute(source, path: "a.lua")
      lua.failAllocations(from: nil)
      #expect(try lua.execute(source, path: "a.lua") == .boolean(false))
      #expect(ledger.published.count <= 2)
    }
  }
}
