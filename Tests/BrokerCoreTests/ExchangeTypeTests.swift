/// The built-in exchange types, each with tables of bindings and where messages go.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@Suite struct DirectTests {
  @Test func `a message goes where a binding has its key to the octet`() throws {
    let core = Core()
    for name in ["a", "b", "c", "none"] as [ByteString] { try core.queue(name) }
    try core.bind("amq.direct", to: "a", key: "key")
    try core.bind("amq.direct", to: "b", key: "key")
    try core.bind("amq.direct", to: "b", key: "other")
    try core.bind("amq.direct", to: "c", key: "")
    try core.bind("amq.direct", to: "c", key: "*")
    let table: [(ByteString, [String])] = [
      ("key", ["a", "b"]), ("other", ["b"]), ("", ["c"]), ("*", ["c"]), ("KEY", []), ("ke", []), ("key ", []),
      ("#", []),
    ]
    for (key, queues) in table { #expect(try core.route("amq.direct", key) == queues, "key '\(key)'") }
  }

  @Test func `a binding that is taken away leads nowhere, its neighbours stay`() throws {
    let core = Core()
    try core.queue("a")
    try core.queue("b")
    try core.bind("amq.direct", to: "a", key: "k")
    try core.bind("amq.direct", to: "b", key: "k")
    try core.unbind("amq.direct", from: "a", key: "k")
    #expect(try core.route("amq.direct", "k") == ["b"])
    try core.unbind("amq.direct", from: "b", key: "k")
    #expect(try core.route("amq.direct", "k") == [])
  }

  @Test func `the default exchange leads to the queue of that name`() throws {
    let core = Core()
    try core.queue("q")
    #expect(try core.route("", "q") == ["q"])
    #expect(try core.route("", "Q") == [])
    #expect(try core.route("", "") == [])
    core.vhost.remove(try core.vhost.queue("q"))
    #expect(try core.route("", "q") == [])
  }
}

@Suite struct FanoutTests {
  @Test func `a message goes to every binding whatever its key`() throws {
    let core = Core()
    for name in ["a", "b", "c"] as [ByteString] {
      try core.queue(name)
      try core.bind("amq.fanout", to: name, key: name)
    }
    #expect(try core.route("amq.fanout", "x") == ["a", "b", "c"])
    #expect(try core.route("amq.fanout", "") == ["a", "b", "c"])
  }

  @Test(arguments: Seeds.of("FANOUT_SEED", Array(1...3)))
  func `bindings that come and go in any order leave the right ones`(_ seed: UInt64) throws {
    Seeds.announce("FanoutTests: seed \(seed)")
    var chance = Chance(seed: seed)
    let core = Core()
    let names = (0..<12).map { ByteString("q\($0)") }
    for name in names { try core.queue(name) }
    var bound: Set<ByteString> = []
    for _ in 0..<300 {
      let name = chance.pick(names)
      if chance.oneIn(2) {
        try core.bind("amq.fanout", to: name)
        bound.insert(name)
      } else {
        try core.unbind("amq.fanout", from: name)
        bound.remove(name)
      }
      #expect(try core.route("amq.fanout") == bound.map(\.text).sorted(), "seed \(seed)")
    }
  }
}

@Suite struct TopicExchangeTests {
  @Test func `a queue with several patterns gets a message once`() throws {
    let core = Core()
    try core.queue("q")
    try core.queue("r")
    for pattern in ["#", "a.*", "a.b", "*.b", "a.#"] as [ByteString] {
      try core.bind("amq.topic", to: "q", key: pattern)
    }
    try core.bind("amq.topic", to: "r", key: "*.c")
    #expect(try core.route("amq.topic", "a.b") == ["q"])
    #expect(try core.route("amq.topic", "a.c") == ["q", "r"])
    try core.unbind("amq.topic", from: "q", key: "#")
    #expect(try core.route("amq.topic", "b.c") == ["r"])
  }
}

struct HeadersCase: CustomTestStringConvertible {
  let name: String
  let binding: FieldTable
  var matches: [FieldTable] = []
  var differs: [FieldTable] = []
  var testDescription: String { name }

  /// So many headers n00, n01 and so on, each with its number, in no order.
  private static func many(_ count: Int) -> FieldTable {
    var table = FieldTable()
    for number in (0..<count).sorted(by: { $0 * 7 % 32 < $1 * 7 % 32 }) {
      table.append(ByteString(number < 10 ? "n0\(number)" : "n\(number)"), .int64(Int64(number)))
    }
    return table
  }

  static let all: [HeadersCase] = [
    HeadersCase(
      name: "without x-match all have to match", binding: ["a": 1, "b": "x"],
      matches: [["a": 1, "b": "x"], ["c": 0, "b": "x", "a": 1]],
      differs: [[:], ["a": 1], ["b": "x"], ["a": 2, "b": "x"], ["a": 1, "b": "y"], ["A": 1, "b": "x"]]),
    HeadersCase(
      name: "all", binding: ["x-match": "all", "a": 1, "b": "x"], matches: [["a": 1, "b": "x"]],
      differs: [["a": 1]]),
    HeadersCase(
      name: "any", binding: ["x-match": "any", "a": 1, "b": "x"],
      matches: [["a": 1], ["b": "x"], ["a": 2, "b": "x"], ["a": 1, "b": "x"]],
      differs: [[:], ["a": 2], ["b": 1], ["c": 1]]),
    HeadersCase(name: "all of nothing", binding: ["x-match": "all"], matches: [[:], ["a": 1]]),
    HeadersCase(name: "nothing at all", binding: [:], matches: [[:], ["a": 1]]),
    HeadersCase(name: "any of nothing", binding: ["x-match": "any"], differs: [[:], ["a": 1]]),
    HeadersCase(
      name: "all passes over x- headers", binding: ["x-match": "all", "x-a": 1, "b": 2],
      matches: [["b": 2], ["b": 2, "x-a": 9]], differs: [["x-a": 1]]),
    HeadersCase(
      name: "any passes over x- headers", binding: ["x-match": "any", "x-a": 1, "b": 2],
      matches: [["b": 2]], differs: [["x-a": 1]]),
    HeadersCase(
      name: "all-with-x looks at x- headers", binding: ["x-match": "all-with-x", "x-a": 1, "b": 2],
      matches: [["b": 2, "x-a": 1]], differs: [["b": 2], ["x-a": 1], ["b": 2, "x-a": 9]]),
    HeadersCase(
      name: "any-with-x looks at x- headers", binding: ["x-match": "any-with-x", "x-a": 1, "b": 2],
      matches: [["x-a": 1], ["b": 2]], differs: [["x-match": "any-with-x"], ["x-a": 2]]),
    HeadersCase(
      name: "void asks whether the header is there", binding: ["a": .void, "b": 1],
      matches: [["a": "anything", "b": 1], ["a": .void, "b": 1]], differs: [["b": 1], ["a": 1]]),
    HeadersCase(
      name: "any with void", binding: ["x-match": "any", "a": .void, "b": 1],
      matches: [["a": 5], ["b": 1], ["a": .void]], differs: [[:], ["b": 2]]),
    HeadersCase(
      name: "integers are equal whatever their width", binding: ["a": .int8(5)],
      matches: [
        ["a": .int8(5)], ["a": .uint8(5)], ["a": .int16(5)], ["a": .uint16(5)], ["a": .int32(5)],
        ["a": .uint32(5)], ["a": .int64(5)],
      ],
      differs: [
        ["a": .double(5)], ["a": .float(5)], ["a": "5"], ["a": .boolean(true)], ["a": .timestamp(5)],
      ]),
    HeadersCase(
      name: "a float is equal to a double and not to an integer", binding: ["a": .float(0.5)],
      matches: [["a": .double(0.5)], ["a": .float(0.5)]], differs: [["a": .int64(0)], ["a": "0.5"]]),
    HeadersCase(
      name: "binary is equal to a string", binding: ["a": .bytes("x")],
      matches: [["a": "x"], ["a": .bytes("x")]], differs: [["a": "y"], ["a": .array(["x"])]]),
    HeadersCase(
      name: "among many headers",
      binding: ["x-match": "all", "n07": 7, "n19": 19, "n31": .void],
      matches: [many(32)], differs: [many(31), many(19), many(0)]),
    HeadersCase(
      name: "any among many headers", binding: ["x-match": "any", "n30": 0, "n17": 17],
      matches: [many(32), many(18)], differs: [many(17), many(5)]),
    HeadersCase(
      name: "any that is there among many headers", binding: ["x-match": "any", "n1": .void, "n25": .void],
      matches: [many(26)], differs: [many(25)]),
    HeadersCase(
      name: "nested values are compared whole", binding: ["a": .table(["b": .array([1, "c"])])],
      matches: [["a": .table(["b": .array([1, "c"])])]],
      differs: [["a": .table(["b": .array([1])])], ["a": .array([1, "c"])]]),
  ]
}

/// The words of the documentation, for values of which two are equal when they are the same.
private func naivelyMatches(_ arguments: FieldTable, _ headers: FieldTable) -> Bool {
  let wanted = arguments.fields.filter { $0.name != "x-match" }
  func holds(_ name: ByteString, _ value: FieldValue) -> Bool {
    value == .void ? headers[name] != nil : headers[name] == value
  }
  return arguments["x-match"] == "any"
    ? wanted.contains { holds($0.name, $0.value) } : wanted.allSatisfy { holds($0.name, $0.value) }
}

extension Chance {
  /// Each name once at most.
  fileprivate mutating func headers(upTo count: Int) -> FieldTable {
    var names = (0..<45).map { ByteString(String(repeating: "n", count: 1 + $0 % 3) + "\($0 / 3)") }
    var table = FieldTable()
    for _ in 0..<below(count + 1) {
      guard let name = draw(from: &names) else { break }
      table.append(name, pick([.int64(1), .int64(2), "1", .boolean(true), .void, .table(["a": 1])]))
    }
    return table
  }
}

@Suite struct HeadersTests {
  @Test(arguments: HeadersCase.all)
  func `a binding matches the headers it should and no others`(_ table: HeadersCase) throws {
    let core = Core()
    try core.queue("q")
    try core.bind("amq.headers", to: "q", key: "ignored", arguments: table.binding)
    for headers in table.matches {
      #expect(try core.route("amq.headers", "k", headers: headers) == ["q"], "\(headers) has to match")
    }
    for headers in table.differs {
      #expect(try core.route("amq.headers", "k", headers: headers) == [], "\(headers) must not match")
    }
    try core.unbind("amq.headers", from: "q", key: "ignored", arguments: table.binding)
    for headers in table.matches {
      #expect(try core.route("amq.headers", "k", headers: headers) == [], "taken away")
    }
  }

  @Test func `all bindings together match as each does alone`() throws {
    let core = Core()
    for (number, table) in HeadersCase.all.enumerated() {
      try core.queue(ByteString("q\(number)"))
      try core.bind("amq.headers", to: ByteString("q\(number)"), arguments: table.binding)
    }
    for (number, table) in HeadersCase.all.enumerated() {
      for headers in table.matches {
        #expect(try core.route("amq.headers", headers: headers).contains("q\(number)"))
      }
      for headers in table.differs {
        #expect(try !core.route("amq.headers", headers: headers).contains("q\(number)"))
      }
    }
  }

  @Test(arguments: Seeds.of("HEADERS_SEED", Array(1...6)))
  func `random bindings match random headers as a naive matcher says`(_ seed: UInt64) throws {
    Seeds.announce("HeadersTests: seed \(seed)")
    var chance = Chance(seed: seed)
    let core = Core()
    var bound: [(name: String, arguments: FieldTable)] = []
    for round in 0..<300 {
      if bound.count < 30, !chance.oneIn(3) {
        let name = "q\(round)"
        try core.queue(ByteString(name))
        var arguments = chance.headers(upTo: 4)
        arguments["x-match"] = chance.pick([nil, "all", "any"])
        try core.bind("amq.headers", to: ByteString(name), arguments: arguments)
        bound.append((name, arguments))
      } else if let gone = chance.draw(from: &bound) {
        try core.unbind("amq.headers", from: ByteString(gone.name), arguments: gone.arguments)
      }
      let headers = chance.headers(upTo: chance.pick([3, 40]))
      let expected = bound.filter { naivelyMatches($0.arguments, headers) }.map(\.name).sorted()
      #expect(try core.route("amq.headers", headers: headers) == expected, "seed \(seed), round \(round)")
    }
  }

  @Test func `a message without headers goes to those that ask for nothing`() throws {
    let core = Core()
    for name in ["all", "any", "one"] as [ByteString] { try core.queue(name) }
    try core.bind("amq.match", to: "all", arguments: ["x-match": "all"])
    try core.bind("amq.match", to: "any", arguments: ["x-match": "any"])
    try core.bind("amq.match", to: "one", arguments: ["a": 1])
    #expect(try core.route("amq.match", headers: nil) == ["all"])
  }

  @Test func `a wrong x-match is refused with the text that RabbitMQ has`() throws {
    let core = Core()
    try core.queue("q")
    let other = refusal { try core.bind("amq.headers", to: "q", arguments: ["x-match": "most"]) }
    #expect(
      other
        == ProtocolError(
          .preconditionFailed,
          "Invalid x-match field value <<\"most\">>; expected all, any, all-with-x, or any-with-x"))
    let number = refusal { try core.bind("amq.headers", to: "q", arguments: ["x-match": .int32(1)]) }
    #expect(
      number
        == ProtocolError(
          .preconditionFailed, "Invalid x-match field type signedint (value 1); expected longstr"))
    #expect(try core.vhost.exchange("amq.headers").bindings.isEmpty)
    #expect(try core.route("amq.headers") == [])
  }

  @Test func `a binding that asks for NaN is one, and can be taken away`() throws {
    let core = Core()
    try core.queue("q")
    let arguments: FieldTable = ["x-match": "any", "a": .double(.nan)]
    try core.bind("amq.headers", to: "q", arguments: arguments)
    try core.bind("amq.headers", to: "q", arguments: arguments)
    #expect(try core.vhost.exchange("amq.headers").bindings.count == 1)
    try core.unbind("amq.headers", from: "q", arguments: arguments)
    #expect(try core.vhost.exchange("amq.headers").bindings.isEmpty)
  }

  @Test func `a queue that goes takes its bindings along, even one with NaN in its arguments`() throws {
    let core = Core()
    let queue = try core.queue("q")
    try core.bind("amq.fanout", to: "q", arguments: ["a": .float(.nan)])
    core.vhost.remove(queue)
    #expect(try core.route("amq.fanout") == [])
    #expect(try core.vhost.exchange("amq.fanout").bindings.isEmpty)
  }
}
