/// What a user may do: every operation is asked about before it has any effect, whoever decides and whenever.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@testable import BrokerServer

/// An operation of alice's on channel 1, and what it asks.
struct AccessCase: Sendable, CustomTestStringConvertible {
  let name: String
  let octets: [UInt8]
  /// In this order; each may be refused.
  let asks: [String]
  /// Asked too, but one of several is enough.
  var isAny = false
  var testDescription: String { name }

  init(_ name: String, asks: [String], isAny: Bool = false, _ method: some Method) {
    self.init(name, asks: asks, isAny: isAny, octets: Octets.method(method))
  }

  init(_ name: String, asks: [String], isAny: Bool = false, octets: [UInt8]) {
    self.name = name
    self.asks = asks
    self.isAny = isAny
    self.octets = octets
  }

  static func publish(
    _ exchange: ByteString, _ key: ByteString, properties: BasicProperties = .init(), body: [UInt8] = [1, 2]
  ) -> [UInt8] {
    Octets.publish(
      BasicPublish {
        $0.exchange = exchange
        $0.routingKey = key
      }, properties: properties, body: body)
  }

  static var badExpiration: BasicProperties {
    var properties = BasicProperties()
    properties.expiration = "soon"
    return properties
  }

  /// There are the queue `q`, and the exchanges `x` and `y` (direct) and `t` (topic).
  static let all: [AccessCase] = [
    AccessCase(
      "exchange.declare", asks: ["configure exchange new"],
      ExchangeDeclare {
        $0.exchange = "new"
        $0.type = "fanout"
      }),
    AccessCase(
      "exchange.declare again", asks: ["configure exchange x"],
      ExchangeDeclare {
        $0.exchange = "x"
        $0.type = "direct"
        $0.arguments = [:]
      }),
    AccessCase(
      "exchange.declare with an alternate exchange",
      asks: ["configure exchange new", "read exchange new", "write exchange amq.fanout"],
      ExchangeDeclare {
        $0.exchange = "new"
        $0.type = "fanout"
        $0.arguments = ["alternate-exchange": "amq.fanout"]
      }),
    AccessCase(
      "exchange.declare, passive", asks: ["read exchange x", "write exchange x", "configure exchange x"],
      isAny: true,
      ExchangeDeclare {
        $0.exchange = "x"
        $0.passive = true
      }),
    AccessCase("exchange.delete", asks: ["configure exchange y"], ExchangeDelete { $0.exchange = "y" }),
    AccessCase(
      "exchange.delete of none", asks: ["configure exchange none"], ExchangeDelete { $0.exchange = "none" }),
    AccessCase(
      "exchange.bind", asks: ["write exchange y", "read exchange x"],
      ExchangeBind {
        $0.source = "x"
        $0.destination = "y"
      }),
    AccessCase(
      "exchange.bind to a topic", asks: ["write exchange y", "read exchange t", "read topic a.* of t"],
      ExchangeBind {
        $0.source = "t"
        $0.destination = "y"
        $0.routingKey = "a.*"
      }),
    AccessCase(
      "exchange.unbind", asks: ["write exchange y", "read exchange t", "read topic k of t"],
      ExchangeUnbind {
        $0.source = "t"
        $0.destination = "y"
        $0.routingKey = "k"
      }),
    AccessCase("queue.declare", asks: ["configure queue new"], QueueDeclare { $0.queue = "new" }),
    AccessCase(
      "queue.declare again", asks: ["configure queue q"],
      QueueDeclare {
        $0.queue = "q"
        $0.arguments = [:]
      }),
    AccessCase(
      "queue.declare with a dead letter exchange",
      asks: ["configure queue new", "read queue new", "write exchange amq.default"],
      QueueDeclare {
        $0.queue = "new"
        $0.arguments = ["x-dead-letter-exchange": ""]
      }),
    AccessCase(
      "queue.declare, passive", asks: ["read queue q", "write queue q", "configure queue q"], isAny: true,
      QueueDeclare {
        $0.queue = "q"
        $0.passive = true
      }),
    AccessCase("queue.delete", asks: ["configure queue q"], QueueDelete { $0.queue = "q" }),
    AccessCase("queue.delete of none", asks: ["configure queue none"], QueueDelete { $0.queue = "none" }),
    AccessCase("queue.purge", asks: ["read queue q"], QueuePurge { $0.queue = "q" }),
    AccessCase(
      "queue.bind", asks: ["write queue q", "read exchange x"],
      QueueBind {
        $0.queue = "q"
        $0.exchange = "x"
      }),
    AccessCase(
      "queue.bind to a topic", asks: ["write queue q", "read exchange t", "read topic #.b of t"],
      QueueBind {
        $0.queue = "q"
        $0.exchange = "t"
        $0.routingKey = "#.b"
      }),
    AccessCase(
      "queue.unbind", asks: ["write queue q", "read exchange t", "read topic k of t"],
      QueueUnbind {
        $0.queue = "q"
        $0.exchange = "t"
        $0.routingKey = "k"
      }),
    AccessCase("basic.consume", asks: ["read queue q"], BasicConsume { $0.queue = "q" }),
    AccessCase("basic.get", asks: ["read queue q"], BasicGet { $0.queue = "q" }),
    AccessCase(
      "basic.publish to the default exchange", asks: ["write exchange amq.default"], octets: publish("", "q")),
    AccessCase("basic.publish", asks: ["write exchange x"], octets: publish("x", "k")),
    AccessCase(
      "basic.publish without a body", asks: ["write exchange x"], octets: publish("x", "k", body: [])),
    AccessCase(
      "basic.publish of 2 MiB", asks: ["write exchange x"],
      octets: publish("x", "k", body: [UInt8](repeating: 7, count: 2_097_152))),
    AccessCase(
      "basic.publish to a topic", asks: ["write exchange t", "write topic a.b of t"],
      octets: publish("t", "a.b")),
    AccessCase(
      "basic.publish to a topic, with CC and BCC",
      asks: ["write exchange t", "write topic a.b of t", "write topic c of t", "write topic d of t"],
      octets: publish("t", "a.b", properties: .init(headers: ["CC": .array(["c"]), "BCC": .array(["d"])]))),
  ]

  /// What a client is told when `asked` is refused.
  static func text(of asked: String) -> String {
    let words = asked.split(separator: " ").map(String.init)
    let what =
      words[1] == "topic" ? "topic '\(words[2])' in exchange '\(words[4])'" : "\(words[1]) '\(words[2])'"
    return "ACCESS_REFUSED - \(words[0]) access to \(what) in vhost '/' refused for user 'alice'"
  }
}

/// When the oracle decides.
enum Manner: CaseIterable, Sendable {
  case now, later

  /// Octets one by one show something only where something waits.
  static let atDepths: [(Depth, Manner)] = Depth.all.map { ($0, later) } + Depth.whole.map { ($0, now) }
}

@Suite struct AccessTests {
  private static func furnish(_ house: House) async throws {
    let guest = try await house.client()
    try await guest.declareQueue("q")
    for (name, type) in [("x", "direct"), ("y", "direct"), ("t", "topic")] as [(ByteString, ByteString)] {
      try await guest.call(
        ExchangeDeclare {
          $0.exchange = name
          $0.type = type
        }, ExchangeDeclareOk.self)
    }
    try await guest.logOut()
  }

  /// Alice, connected. What that asks is forgotten.
  private static func alice(_ house: House, later: Bool = false) async throws -> TestClient {
    let client = try await house.client(.user("alice"))
    _ = try await house.asked()
    try await house.inBroker { try $0.oracle().answersLater = later }
    return client
  }

  private static func isLarge(_ table: AccessCase, _ depth: Depth) -> Bool {
    table.octets.count > 100_000 && (depth == .memoryByOctet || depth == .tcpByOctet)
  }

  @Test(arguments: Manner.atDepths)
  func `every operation asks what RabbitMQ asks, in its order, and is done once it may`(
    _ depth: Depth, _ manner: Manner
  ) async throws {
    for table in AccessCase.all where !Self.isLarge(table, depth) {
      try await depth.play { house in
        try await house.restrict()
        try await Self.furnish(house)
        let client = try await Self.alice(house, later: manner == .later)
        try await client.call(ConfirmSelect(), ConfirmSelectOk.self)
        try await client.send(octets: table.octets + Octets.method(ChannelFlow { $0.active = true }))
        let asks = table.isAny ? Array(table.asks.prefix(1)) : table.asks
        if manner == .later { try await house.oracleAnswers(asks.count) }
        _ = try await client.next(ChannelFlowOk.self)
        #expect(try await house.asked() == asks, "\(table.name)")
      }
    }
  }

  @Test(arguments: Manner.atDepths)
  func `every refusal has RabbitMQ's text, and no effect`(_ depth: Depth, _ manner: Manner) async throws {
    for table in AccessCase.all where !Self.isLarge(table, depth) {
      for (index, refused) in table.asks.enumerated() where !table.isAny || index == table.asks.count - 1 {
        try await depth.play { house in
          try await house.restrict(table.isAny ? table.asks : [refused])
          try await Self.furnish(house)
          let client = try await Self.alice(house, later: manner == .later)
          // What follows on the channel is not looked at, on others it is.
          try await client.send(
            octets: table.octets + Octets.method(QueueDeclare { $0.queue = "after" })
              + Octets.method(ChannelOpen(), channel: 2))
          if manner == .later { try await house.oracleAnswers(index + 1) }
          let closed = try await client.channelError()
          #expect(closed.text == AccessCase.text(of: refused), "\(table.name)")
          #expect(closed.code == 403)
          _ = try await client.next(ChannelOpenOk.self, on: 2)
          #expect(try await house.asked() == Array(table.asks.prefix(index + 1)), "\(table.name)")
          #expect(try await house.census("after") == nil)
          #expect(try await house.census("new") == nil)
          #expect(try await house.census("q") == Census())
        }
      }
    }
  }

  @Test(arguments: Manner.atDepths)
  func `who may not open a virtual host hears 530`(_ depth: Depth, _ manner: Manner) async throws {
    try await depth.play { house in
      try await house.restrict(["connect vhost /"], later: manner == .later)
      let client = try await house.raw()
      try await client.greet()
      let options = TestClient.Options.user("alice")
      try await client.tune(options)
      try await client.send(options.open, on: 0)
      if manner == .later { try await house.oracleAnswers() }
      let closed = try await client.connectionError()
      #expect(closed.text == "NOT_ALLOWED - access to vhost '/' refused for user 'alice'")
      #expect(closed.code == 530 && closed.method == ConnectionOpen.id)

      try await house.inBroker { try $0.oracle().refused = [] }
      let again = try await house.raw()
      try await again.greet()
      try await again.tune(options)
      try await again.send(octets: Octets.method(options.open, channel: 0) + Octets.method(ChannelOpen()))
      if manner == .later { try await house.oracleAnswers() }
      _ = try await again.next(ChannelOpenOk.self)
    }
  }

  @Test(arguments: Depth.whole)
  func `errors come in RabbitMQ's order`(_ depth: Depth) async throws {
    let everything = ["exchange", "queue"].flatMap { kind in
      ["configure", "write", "read"].flatMap { right in
        ["", "amq.default", "none", "amq.x", "x", "q"].map { "\(right) \(kind) \($0)" }
      }
    }
    func notPermitted(_ right: String, _ what: String) -> String {
      "ACCESS_REFUSED - \(right) access to \(what) in vhost '/' refused for user 'alice'"
    }
    let notOnDefault = "ACCESS_REFUSED - operation not permitted on the default exchange"
    let cases: [([UInt8], String)] = [
      (
        Octets.method(
          ExchangeDeclare {
            $0.exchange = "x"
            $0.type = "none"
          }), "PRECONDITION_FAILED - unknown exchange type 'none'"
      ),
      (Octets.method(ExchangeDeclare { $0.type = "direct" }), notOnDefault),
      (Octets.method(ExchangeDelete()), notOnDefault),
      (
        Octets.method(ExchangeDelete { $0.exchange = "amq.x" }),
        "ACCESS_REFUSED - deletion of system exchange 'amq.x' in vhost '/' not allowed"
      ),
      (
        Octets.method(
          ExchangeDeclare {
            $0.exchange = "amq.x"
            $0.type = "direct"
          }), notPermitted("configure", "exchange 'amq.x'")
      ),
      (
        Octets.method(
          ExchangeDeclare {
            $0.exchange = "none"
            $0.passive = true
          }), notPermitted("configure", "exchange 'none'")
      ),
      (
        Octets.method(QueueDeclare { $0.queue = "amq.x" }),
        "ACCESS_REFUSED - queue name 'amq.x' contains reserved prefix 'amq.*'"
      ),
      (
        Octets.method(
          QueueDeclare {
            $0.queue = "none"
            $0.passive = true
          }), notPermitted("configure", "queue 'none'")
      ),
      (Octets.method(QueueBind { $0.queue = "q" }), notPermitted("write", "queue 'q'")),
      (Octets.method(ExchangeBind { $0.source = "x" }), notPermitted("write", "exchange 'amq.default'")),
      (Octets.method(QueuePurge { $0.queue = "none" }), notPermitted("read", "queue 'none'")),
      (Octets.method(QueuePurge()), "NOT_FOUND - no previously declared queue"),
      (AccessCase.publish("none", "k"), notPermitted("write", "exchange 'none'")),
      (
        AccessCase.publish("x", "k", properties: AccessCase.badExpiration),
        notPermitted("write", "exchange 'x'")
      ),
    ]
    try await depth.play { house in
      try await house.restrict(everything)
      try await Self.furnish(house)
      for (octets, text) in cases {
        let client = try await Self.alice(house)
        try await client.send(octets: octets)
        #expect(try await client.channelError().text == text)
        await client.line.close()
      }
      // Topics come after the message's properties.
      try await house.restrict(["write topic k of t"])
      let client = try await Self.alice(house)
      try await client.send(
        octets: AccessCase.publish("t", "k", properties: AccessCase.badExpiration))
      #expect(try await client.channelError().code == 406)
    }
  }

  @Test(arguments: Depth.whole)
  func `any permission lets a client see that something is there`(_ depth: Depth) async throws {
    try await depth.play { house in
      let rights = ["configure", "write", "read"]
      for allowed in rights {
        try await house.restrict(
          rights.filter { $0 != allowed }.flatMap { ["\($0) queue q", "\($0) exchange x"] })
        try await Self.furnish(house)
        let client = try await Self.alice(house)
        try await client.declareQueue("q") { $0.passive = true }
        try await client.call(
          ExchangeDeclare {
            $0.exchange = "x"
            $0.passive = true
          }, ExchangeDeclareOk.self)
        await client.line.close()
      }
    }
  }

  // MARK: the user's own permissions

  private static func permit(_ house: House, _ permissions: [ByteString: Permissions]) async throws {
    try await house.inBroker { broker in
      try broker.addVirtualHost("other")
      broker.hooks.authenticators.append(
        Registrar("permissions", ["alice": Identity(name: "alice", rights: .these(permissions))]))
    }
  }

  @Test(arguments: Depth.whole)
  func `a user's own permissions are asked last`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.permit(house, ["/": Permissions(configure: "mine|^our-", write: ".*", read: "")])
      let client = try await house.client(.user("alice"))
      try await client.declareQueue("it-is-mine")
      try await client.declareQueue("our-queue")
      try await client.publish("m", key: "it-is-mine")
      try await client.publish("m", to: "amq.topic", key: "any.key")
      try await client.fence()
      #expect(try await house.census("it-is-mine")?.ready == 1)
      try await client.send(BasicGet { $0.queue = "it-is-mine" })
      #expect(
        try await client.channelError().text
          == "ACCESS_REFUSED - read access to queue 'it-is-mine' in vhost '/' refused for user 'alice'")
      try await client.openChannel(2)
      try await client.send(QueueDeclare { $0.queue = "yours" }, on: 2)
      #expect(try await client.channelError(on: 2).code == 403)

      let other = try await house.raw()
      try await other.greet()
      let options = TestClient.Options.user("alice") { $0.virtualHost = "other" }
      try await other.tune(options)
      try await other.send(options.open, on: 0)
      #expect(
        try await other.connectionError().text
          == "NOT_ALLOWED - access to vhost 'other' refused for user 'alice'")
    }
  }

  // MARK: waiting

  @Test(arguments: [Depth.memory, .memoryByOctet, .tcp])
  func `two thousand publishes behind a declare that waits are confirmed in order`(_ depth: Depth)
    async throws
  {
    try await depth.play { house in
      try await house.restrict()
      let client = try await Self.alice(house, later: true)
      try await client.call(ConfirmSelect(), ConfirmSelectOk.self)
      let count = 2000
      try await client.send(
        octets: Octets.method(QueueDeclare { $0.queue = "q" })
          + (0..<count).flatMap { AccessCase.publish("", "q", body: Array("\($0)".utf8)) })
      // Others are served meanwhile.
      let other = try await house.client()
      for _ in 0..<10 { try await other.fence() }
      #expect(try await house.census("q") == nil)
      try await house.oracleAnswers(2)
      #expect(try await client.next(QueueDeclareOk.self).method.queue == "q")
      var confirmed: UInt64 = 0
      while confirmed < count {
        confirmed = try await client.next(BasicAck.self).method.deliveryTag
      }
      #expect(try await house.asked() == ["configure queue q", "write exchange amq.default"])
      try await other.consume("q", noAck: true)
      #expect(try await other.deliveries(count).map(\.text) == (0..<count).map { "\($0)" })
    }
  }

  @Test(arguments: Depth.all)
  func `a queue without a name keeps the one it got while it waits`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await house.restrict()
      let client = try await Self.alice(house, later: true)
      // The second time one answer is known.
      for count in [3, 2] {
        try await client.send(
          QueueDeclare { $0.arguments = ["x-dead-letter-exchange": "amq.fanout"] })
        try await house.oracleAnswers(count)
        let name = try await client.next(QueueDeclareOk.self).method.queue
        #expect(try await house.asked().first == "configure queue \(name)")
      }
      #expect(try await house.inBroker { $0.vhosts["/"]?.queues.count } == 2)
    }
  }

  @Test(arguments: Depth.all)
  func `many wait at once, and are answered in any order`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await house.restrict()
      var clients: [TestClient] = []
      for _ in 0..<20 { clients.append(try await Self.alice(house)) }
      try await house.inBroker { try $0.oracle().answersLater = true }
      for (number, client) in clients.enumerated() {
        try await client.send(QueueDeclare { $0.queue = ByteString("q\(number)") })
      }
      try await house.eventually("all asked") { try $0.oracle().pending.count == 20 }
      try await house.expectServing()
      try await house.inBroker { try $0.oracle().answerAll() }
      for client in clients { _ = try await client.next(QueueDeclareOk.self) }
    }
  }

  @Test(arguments: Depth.whole)
  func `who vanishes while waiting leaves no trace`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await house.restrict()
      for table in AccessCase.all {
        try await Self.furnish(house)
        let client = try await Self.alice(house, later: true)
        try await client.send(octets: table.octets)
        try await house.eventually("asked") { try !$0.oracle().pending.isEmpty }
        await client.line.close()
        try await house.eventually("gone") { _ in true }
        try await house.expectServing()
        try await house.inBroker { try $0.oracle().answerAll() }
        try await house.expectServing()
        try await house.inBroker { try $0.oracle().answersLater = false }
        #expect(try await house.census("new") == nil, "\(table.name)")
      }
      #expect(try await house.census("q") == Census())
    }
  }

  @Test(arguments: [Depth.memory, .memoryByOctet])
  func `the broker may stop while somebody waits`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await house.restrict()
      let client = try await Self.alice(house, later: true)
      try await client.send(
        octets: Octets.method(QueueDeclare { $0.queue = "q" }) + AccessCase.publish("", "q"))
      try await house.eventually("asked") { try !$0.oracle().pending.isEmpty }
      try await house.stop()
      #expect(try await client.connectionError().code == 320)
    }
  }

  @Test(arguments: Depth.whole)
  func `who waits is not cut off for heartbeats that nobody reads, and hears ours`(_ depth: Depth)
    async throws
  {
    try await depth.play { house in
      try await house.restrict()
      let client = try await house.client(.user("alice") { $0.heartbeatSeconds = 10 })
      try await house.inBroker { try $0.oracle().answersLater = true }
      try await client.send(QueueDeclare { $0.queue = "q" })
      try await house.eventually("asked") { try !$0.oracle().pending.isEmpty }
      for _ in 0..<20 { try await house.advance(seconds: 5) }
      try await house.oracleAnswers()
      _ = try await client.next(QueueDeclareOk.self)
      #expect(client.transcript.contains("heartbeat"))
    }
  }

  @Test(arguments: Depth.all)
  func `a publish that waits within a transaction`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await house.restrict()
      try await Self.furnish(house)
      let client = try await Self.alice(house, later: true)
      try await client.call(TxSelect(), TxSelectOk.self)
      try await client.send(octets: AccessCase.publish("", "q") + Octets.method(TxCommit()))
      try await house.oracleAnswers()
      _ = try await client.next(TxCommitOk.self)
      #expect(try await house.census("q")?.ready == 1)
    }
  }

  @Test(arguments: Depth.whole)
  func `an answer that is there already is taken`(_ depth: Depth) async throws {
    final class Hasty: Authorizer {
      func authorize(
        _ request: BrokerCore.AccessRequest, _ identity: Identity, _ peer: PeerAddress
      ) -> Answer<AccessAnswer> {
        let promise = Pending<AccessAnswer>()
        promise.answer(request.name == "bad" ? .denied("bad") : .allowed)
        return .later(promise)
      }
    }
    try await depth.play { house in
      try await house.inBroker { $0.hooks.authorizers = [Hasty(), Hasty()] }
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.publish("m", key: "q")
      #expect(try await client.get("q")?.content.text == "m")
      try await client.send(QueueDeclare { $0.queue = "bad" })
      #expect(try await client.channelError().code == 403)
    }
  }

  // MARK: what is kept

  @Test(arguments: Depth.whole)
  func `answers are kept for a while, or until the hooks change`(_ depth: Depth) async throws {
    let operations = [
      AccessCase.publish("", "q"), AccessCase.publish("t", "k"), Octets.method(QueuePurge { $0.queue = "q" }),
    ]
    let asks = ["write exchange amq.default", "write exchange t", "write topic k of t", "read queue q"]
    try await depth.play { house in
      try await house.restrict()
      try await Self.furnish(house)
      let client = try await Self.alice(house)
      func operate() async throws -> [String] {
        for _ in 0..<3 {
          for octets in operations { try await client.send(octets: octets) }
        }
        try await client.fence()
        return try await house.asked()
      }
      #expect(try await operate() == asks)
      try await house.advance(seconds: 9.9)
      #expect(try await operate() == [])
      try await house.advance(seconds: 0.2)
      #expect(try await operate() == asks)
      try await house.inBroker { $0.hooksChanged() }
      #expect(try await operate() == asks)
      try await house.inBroker { try $0.oracle().refused = ["write topic k of t"] }
      #expect(try await operate() == [])
      try await house.inBroker { $0.hooksChanged() }
      try await client.send(octets: AccessCase.publish("t", "k"))
      #expect(try await client.channelError().code == 403)
      // Refusals are kept too.
      _ = try await house.asked()
      try await client.openChannel(2)
      try await client.publish("m", to: "t", key: "k", on: 2)
      #expect(try await client.channelError(on: 2).code == 403)
      #expect(try await house.asked() == [])
    }
  }

  /// The same exchange over and over is looked up once; then the check has to be made again nevertheless.
  @Test(arguments: Depth.whole)
  func `a channel that repeats itself asks anew when its answer is old`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await house.restrict()
      try await Self.furnish(house)
      let client = try await Self.alice(house)
      for _ in 0..<5 { try await client.publish("m", key: "q") }
      try await client.fence()
      try await house.inBroker { try $0.oracle().refused = ["write exchange amq.default"] }
      try await house.advance(seconds: 10.1)
      try await client.publish("m", key: "q")
      #expect(try await client.channelError().code == 403)
      #expect(try await house.census("q")?.ready == 5)
    }
  }

  @Test(arguments: Depth.whole)
  func `each key of a topic is asked about, however they alternate`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await house.restrict(["write topic c of t"])
      try await Self.furnish(house)
      let client = try await Self.alice(house)
      for key in ["a", "a", "b", "a", "b", "b", "a"] as [ByteString] {
        try await client.publish("m", to: "t", key: key)
      }
      try await client.fence()
      #expect(try await house.asked() == ["write exchange t", "write topic a of t", "write topic b of t"])
      try await client.publish(
        "m", to: "t", key: "a", properties: .init(headers: ["CC": .array(["b", "c"])]))
      #expect(try await client.channelError().text == AccessCase.text(of: "write topic c of t"))
    }
  }

  @Test(arguments: Depth.whole)
  func `an operation that waits several times ends though nothing is kept`(_ depth: Depth) async throws {
    var settings = Settings()
    settings.accessCacheSeconds = 0
    try await depth.play(settings) { house in
      try await house.restrict()
      try await Self.furnish(house)
      let client = try await Self.alice(house, later: true)
      for _ in 0..<2 {
        try await client.send(
          QueueBind {
            $0.queue = "q"
            $0.exchange = "t"
            $0.routingKey = "k"
          })
        try await house.oracleAnswers(3)
        _ = try await client.next(QueueBindOk.self)
        try await client.send(octets: AccessCase.publish("t", "k"))
        try await house.oracleAnswers(2)
        try await house.advance(seconds: 1)
      }
      #expect(try await house.asked().count == 10)
    }
  }

  @Test(arguments: [Depth.memory])
  func `no more answers are kept than the bound, and the oldest goes`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await house.restrict()
      let client = try await Self.alice(house)
      func delete(_ numbers: Range<Int>) async throws -> Int {
        for number in numbers {
          try await client.send(
            QueueDelete {
              $0.queue = ByteString("q\(number)")
              $0.noWait = true
            })
        }
        try await client.fence()
        return try await house.asked().count
      }
      let most = Settings.accessCacheMaximum
      #expect(try await delete(0..<most) == most)
      #expect(try await delete(1..<most) == 0)
      #expect(try await delete(most..<(most + 10)) == 10)
      #expect(try await delete(10..<(most + 10)) == 0)
      #expect(try await delete(0..<10) == 10)
    }
  }
}
