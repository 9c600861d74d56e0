/// The project's notes on what RabbitMQ does, statement by statement: those that no other suite shows.
/// `docs/compatibility.md` lists all of them with their tests. Publishing has a file of its own.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore
@testable import BrokerServer

extension TestClient {
  /// What the broker says to what it refuses. The channel is open again afterwards.
  func refusal(_ octets: [UInt8]) async throws -> String {
    try await send(octets: octets)
    let closed = try await channelError()
    try await openChannel()
    return "\(closed.code) \(closed.text)"
  }

  func refusal(_ method: some Method) async throws -> String {
    try await refusal(Octets.method(method))
  }

  fileprivate func declareExchange(
    _ name: ByteString, _ type: ByteString, _ more: (inout ExchangeDeclare) -> Void = { _ in }
  ) async throws {
    var method = ExchangeDeclare {
      $0.exchange = name
      $0.type = type
    }
    more(&method)
    try await call(method, ExchangeDeclareOk.self)
  }

  fileprivate func hasExchange(_ name: ByteString) async throws -> Bool {
    do {
      try await declareExchange(name, "") { $0.passive = true }
      return true
    } catch let closed as Closed where closed.code == 404 {
      _ = try await channelError()
      try await openChannel()
      return false
    }
  }
}

extension House {
  /// alice, and what she may do from now on.
  func permit(_ permissions: Permissions, topics: TopicPermissions? = nil) async throws {
    try await inBroker { broker in
      if broker.users["alice"] == nil {
        try broker.users.add(User(name: "alice", password: PasswordHash(of: "secret")))
      }
      try broker.users.permit("alice", in: "/", permissions)
      try broker.users.permitTopics("alice", in: "/", exchange: "amq.topic", topics)
    }
  }
}

func bind(_ queue: ByteString, _ exchange: ByteString, _ key: ByteString = "") -> QueueBind {
  QueueBind {
    $0.queue = queue
    $0.exchange = exchange
    $0.routingKey = key
  }
}

private func bind(_ destination: ByteString, source: ByteString) -> ExchangeBind {
  ExchangeBind {
    $0.destination = destination
    $0.source = source
  }
}

// MARK: consuming

@Suite struct ConsumeSemanticsTests {
  @Test(arguments: Depth.whole)
  func `an exclusive consumer is refused beside others, and others beside it`(_ depth: Depth) async throws {
    let text = "403 ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use"
    func consume(exclusively: Bool) -> BasicConsume {
      BasicConsume {
        $0.queue = "q"
        $0.exclusive = exclusively
      }
    }
    try await depth.play { house in
      let (client, other) = (try await house.client(), try await house.client())
      try await client.declareQueue("q")
      try await client.consume("q", tag: "plain")
      #expect(try await other.refusal(consume(exclusively: true)) == text)
      try await client.call(BasicCancel { $0.consumerTag = "plain" }, BasicCancelOk.self)
      try await client.consume("q", tag: "alone") { $0.exclusive = true }
      #expect(try await other.refusal(consume(exclusively: false)) == text)
      #expect(try await other.refusal(consume(exclusively: true)) == text)
      try await client.call(BasicCancel { $0.consumerTag = "alone" }, BasicCancelOk.self)
      try await other.consume("q")
    }
  }

  @Test(arguments: Depth.whole)
  func `tags are made, unknown ones are cancelled, and no-local is nothing`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      let tag = try await client.consume("q", tag: "", noAck: true) { $0.noLocal = true }
      #expect(tag.hasPrefix("amq.ctag-"))
      try await client.publish("own", key: "q")
      #expect(try await client.deliveries(1)[0].method.consumerTag == tag)
      #expect(
        try await client.call(BasicCancel { $0.consumerTag = "nobody" }, BasicCancelOk.self).consumerTag
          == "nobody")
      try await client.send(BasicCancelOk { $0.consumerTag = "nobody" })
      try await client.fence()
    }
  }

  @Test(arguments: Depth.whole)
  func `each tag is settled once, and tag 0 is all of them`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      for body in ["1", "2", "3"] { try await client.publish(body, key: "q") }
      try await client.consume("q")
      _ = try await client.deliveries(3)
      try await client.ack(2)
      try await client.ack(0, multiple: true)
      try await client.ack(0, multiple: true)
      try await client.fence()
      #expect(try await house.census("q") == Census(consumers: 1))
      func ack(_ tag: UInt64, multiple: Bool = false) -> BasicAck {
        BasicAck {
          $0.deliveryTag = tag
          $0.multiple = multiple
        }
      }
      #expect(
        try await client.refusal(ack(2)) == "406 PRECONDITION_FAILED - unknown delivery tag 2")
      #expect(
        try await client.refusal(ack(9, multiple: true))
          == "406 PRECONDITION_FAILED - unknown delivery tag 9")
      #expect(try await client.refusal(ack(0)) == "406 PRECONDITION_FAILED - unknown delivery tag 0")
    }
  }

  @Test(arguments: Depth.whole)
  func `replies have one consumer, which cannot acknowledge, and whose address can be asked for`(
    _ depth: Depth
  ) async throws {
    let pseudo: ByteString = "amq.rabbitmq.reply-to"
    try await depth.play { house in
      let (client, server) = (try await house.client(), try await house.client())
      #expect(
        try await client.refusal(BasicConsume { $0.queue = pseudo })
          == "406 PRECONDITION_FAILED - reply consumer cannot acknowledge")
      try await client.consume(pseudo, noAck: true)
      #expect(
        try await client.refusal(
          BasicConsume {
            $0.queue = pseudo
            $0.consumerTag = "second"
            $0.noAck = true
          }) == "406 PRECONDITION_FAILED - reply consumer already set")
      try await client.consume(pseudo, noAck: true)
      try await server.declareQueue("work")
      var properties = BasicProperties()
      properties.replyTo = pseudo
      try await client.publish("ask", key: "work", properties: properties)
      try await client.fence()
      let address = try #require(try await server.get("work")?.content.properties.replyTo)
      for passive in [true, false] {
        let found = try await server.declareQueue(address) { $0.passive = passive }
        #expect(found.queue == address && found.messageCount == 0 && found.consumerCount == 1)
      }
      try await client.closeChannel()
      #expect(
        try await server.refusal(QueueDeclare { $0.queue = address })
          == "404 NOT_FOUND - no queue '\(address)' in vhost '/'")
    }
  }
}

// MARK: declaring, binding, deleting

@Suite struct DeclareSemanticsTests {
  @Test(arguments: Depth.whole)
  func `a binding asks for write, a source that has a name, read, topic, and then what is there`(
    _ depth: Depth
  ) async throws {
    func refused(_ what: String) -> String {
      "403 ACCESS_REFUSED - \(what) in vhost '/' refused for user 'alice'"
    }
    for (missing, isQueue) in [("queue 'none'", true), ("exchange 'none'", false)] {
      func from(_ source: ByteString) -> [UInt8] {
        if isQueue { return Octets.method(bind("none", source, "k")) }
        return Octets.method(
          ExchangeBind {
            $0.destination = "none"
            $0.source = source
            $0.routingKey = "k"
          })
      }
      try await depth.play { house in
        let topics = TopicPermissions(write: ".*", read: "^$")
        try await house.permit(Permissions(configure: ".*", write: "^$", read: "^$"), topics: topics)
        let client = try await house.client(.user("alice"))
        #expect(try await client.refusal(from("")) == refused("write access to \(missing)"))
        try await house.permit(Permissions(configure: ".*", write: ".*", read: "^$"), topics: topics)
        #expect(
          try await client.refusal(from(""))
            == "403 ACCESS_REFUSED - operation not permitted on the default exchange")
        #expect(
          try await client.refusal(from("amq.topic")) == refused("read access to exchange 'amq.topic'"))
        try await house.permit(.everything, topics: topics)
        #expect(
          try await client.refusal(from("amq.topic"))
            == refused("read access to topic 'k' in exchange 'amq.topic'"))
        try await house.permit(.everything)
        #expect(
          try await client.refusal(from("amq.topic")) == "404 NOT_FOUND - no \(missing) in vhost '/'")
      }
    }
  }

  @Test(arguments: Depth.whole)
  func `the default exchange is not declared, deleted or bound`(_ depth: Depth) async throws {
    let methods: [any Method] = [
      ExchangeDeclare { $0.type = "direct" }, ExchangeDeclare { $0.passive = true }, ExchangeDelete(),
      bind("q", ""), QueueUnbind { $0.queue = "q" }, bind("amq.fanout", source: ""),
      bind("", source: "amq.fanout"), ExchangeUnbind { $0.destination = "amq.fanout" },
      ExchangeUnbind { $0.source = "amq.fanout" },
    ]
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      for method in methods {
        #expect(
          try await client.refusal(Octets.method(method))
            == "403 ACCESS_REFUSED - operation not permitted on the default exchange", "\(method)")
      }
    }
  }

  @Test(arguments: Depth.whole)
  func `reserved names are there, may be declared alike, and no queue is declared by one`(_ depth: Depth)
    async throws
  {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareExchange("amq.topic", "topic") { $0.durable = true }
      #expect(
        try await client.refusal(
          ExchangeDeclare {
            $0.exchange = "amq.topic"
            $0.type = "direct"
          })
          == "406 PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.topic' in vhost '/': "
          + "received 'direct' but current is 'topic'")
      let name = try await client.declareQueue("").queue
      #expect(name.hasPrefix("amq.gen-"))
      #expect(try await client.declareQueue(name) { $0.passive = true }.queue == name)
      #expect(
        try await client.refusal(QueueDeclare { $0.queue = name })
          == "403 ACCESS_REFUSED - queue name '\(name)' contains reserved prefix 'amq.*'")
    }
  }

  @Test(arguments: Depth.whole)
  func `an exclusive queue is locked to all others, whatever they ask`(_ depth: Depth) async throws {
    let methods: [any Method] = [
      QueueDeclare { $0.queue = "locked" },
      QueueDeclare {
        $0.queue = "locked"
        $0.passive = true
      },
      bind("locked", "amq.fanout", "other"),
      QueueUnbind {
        $0.queue = "locked"
        $0.exchange = "amq.fanout"
      }, QueuePurge { $0.queue = "locked" }, QueueDelete { $0.queue = "locked" },
      BasicConsume { $0.queue = "locked" }, BasicGet { $0.queue = "locked" },
    ]
    try await depth.play { house in
      let (owner, client) = (try await house.client(), try await house.client())
      try await owner.declareQueue("locked") { $0.exclusive = true }
      try await owner.call(bind("locked", "amq.fanout"), QueueBindOk.self)
      for method in methods {
        #expect(
          try await client.refusal(Octets.method(method))
            == "405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'locked' in vhost '/'. "
            + "It could be originally declared on another connection or the exclusive property value does "
            + "not match that of the original declaration.", "\(method)")
      }
      try await client.publish("m", key: "locked")
      try await client.fence()
      #expect(try await owner.messageCount("locked") == 1)
    }
  }

  @Test(arguments: Depth.whole)
  func `what is as it shall be is no error`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      #expect(try await client.call(QueueDelete { $0.queue = "none" }, QueueDeleteOk.self).messageCount == 0)
      try await client.call(ExchangeDelete { $0.exchange = "none" }, ExchangeDeleteOk.self)
      // Line ends are no part of a name.
      #expect(try await client.declareQueue("q\r\n").queue == "q")
      let unbind = QueueUnbind {
        $0.queue = "q"
        $0.exchange = "amq.direct"
        $0.routingKey = "q"
      }
      try await client.call(unbind, QueueUnbindOk.self)
      // Of two empty names the queue is the last declared, and its name the key.
      for _ in 0..<2 { try await client.call(bind("", "amq.direct"), QueueBindOk.self) }
      try await client.publish("once", to: "amq.direct", key: "q")
      try await client.fence()
      #expect(try await client.messageCount("q") == 1)
      try await client.call(unbind, QueueUnbindOk.self)
      try await client.publish("lost", to: "amq.direct", key: "q", mandatory: true)
      #expect(try await client.next(BasicReturn.self).method.replyCode == 312)
    }
  }

  @Test(arguments: Depth.whole)
  func `what deletes itself was used before`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q") { $0.autoDelete = true }
      try await client.declareExchange("x", "fanout") { $0.autoDelete = true }
      try await client.declareExchange("y", "fanout") { $0.autoDelete = true }
      // As a destination alone an exchange was not used.
      try await client.call(bind("y", source: "amq.fanout"), ExchangeBindOk.self)
      let unbound = ExchangeUnbind {
        $0.destination = "y"
        $0.source = "amq.fanout"
      }
      try await client.call(unbound, ExchangeUnbindOk.self)
      #expect(try await house.census("q") == Census())
      for exchange in ["x", "y"] as [ByteString] { #expect(try await client.hasExchange(exchange)) }
      try await client.call(bind("q", "x"), QueueBindOk.self)
      try await client.consume("q", tag: "c")
      try await client.call(BasicCancel { $0.consumerTag = "c" }, BasicCancelOk.self)
      #expect(try await house.census("q") == nil)
      #expect(try await !client.hasExchange("x"), "it went with the queue, its last binding")
      #expect(try await client.hasExchange("y"))
    }
  }

  @Test(arguments: Depth.whole)
  func `arguments of old and of clustered queues are taken`(_ depth: Depth) async throws {
    let arguments: [FieldTable] = [
      ["x-queue-mode": "lazy"], ["x-queue-version": 1], ["x-queue-version": .int32(2)],
      ["x-queue-master-locator": "min-masters"], ["x-queue-leader-locator": "client-local"],
      ["x-queue-leader-locator": "balanced"], ["x-queue-type": "classic"], ["x-ha-policy": "all"],
      ["x-anything": .void],
    ]
    try await depth.play { house in
      let client = try await house.client()
      for (number, table) in arguments.enumerated() {
        // Neither durable nor exclusive: RabbitMQ 4.3 refuses these, and old clients need them.
        let name = ByteString("q\(number)")
        for _ in 0..<2 { try await client.declareQueue(name) { $0.arguments = table } }
        try await client.publish("m", key: name)
        #expect(try await client.get(name)?.content.text == "m")
      }
    }
  }
}

// MARK: dead letters

@Suite struct DeadLetterSemanticsTests {
  private static func death(
    _ queue: ByteString, _ reason: ByteString, _ count: Int64, time: UInt64, keys: [ByteString]
  ) -> FieldTable {
    [
      "count": .int64(count), "reason": .string(reason), "queue": .string(queue), "time": .timestamp(time),
      "exchange": "", "routing-keys": .array(keys.map { .string($0) }),
    ]
  }

  private static func reject(_ client: TestClient, from queue: ByteString) async throws {
    let got = try #require(try await client.get(queue, noAck: false))
    try await client.send(BasicReject { $0.deliveryTag = got.method.deliveryTag })
    try await client.fence()
  }

  /// Through a queue where it expires and one where it is rejected, twice.
  @Test(arguments: Depth.whole)
  func `deaths are told as RabbitMQ tells them`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      for (queue, next, more) in [
        ("first", "second", ["x-message-ttl": 50]), ("second", "dead", [:]), ("copy", "dead", [:]),
      ] as [(ByteString, ByteString, FieldTable)] {
        try await client.declareQueue(queue) {
          $0.arguments = more
          $0.arguments["x-dead-letter-exchange"] = ""
          $0.arguments["x-dead-letter-routing-key"] = .string(next)
        }
      }
      try await client.declareQueue("dead")
      var properties = BasicProperties(
        headers: ["CC": .array(["copy"]), "BCC": .array(["blind"]), "mine": 1])
      properties.expiration = "60000"
      try await client.publish("m", key: "first", properties: properties)
      try await client.fence()
      try await house.advance(seconds: 1)
      try await house.eventually("it expired") { $0.census("second")?.ready == 1 }
      let expired = try await house.inBroker { $0.clock.wallSeconds }
      try await house.advance(seconds: 5)
      try await Self.reject(client, from: "second")
      let got = try #require(try await client.get("dead"))
      var first = Self.death("first", "expired", 1, time: expired, keys: ["first", "copy"])
      first["original-expiration"] = "60000"
      var second = Self.death("second", "rejected", 1, time: expired + 5, keys: ["second"])
      let headers = got.content.properties.headers ?? [:]
      #expect(headers["x-death"] == .array([.table(second), .table(first)]))
      #expect(got.content.properties.expiration == nil && headers["mine"] == 1)
      #expect(headers["CC"] == nil && headers["BCC"] == nil, "the key stands for all keys")
      #expect(try await client.messageCount("copy") == 1, "the copy lives: it had no queue of a minute")
      for (name, value) in [
        ("x-first-death-queue", "first"), ("x-first-death-reason", "expired"), ("x-first-death-exchange", ""),
        ("x-last-death-queue", "second"), ("x-last-death-reason", "rejected"), ("x-last-death-exchange", ""),
      ] as [(ByteString, ByteString)] {
        #expect(headers[name] == .string(value), "\(name)")
      }
      try await client.publish("m", key: "second", properties: got.content.properties)
      try await Self.reject(client, from: "second")
      second["count"] = 2
      let again = try await client.get("dead")
      #expect(
        again?.content.properties.headers?["x-death"] == .array([.table(second), .table(first)]),
        "the time is that of the first")
    }
  }

  @Test(arguments: Depth.whole)
  func `a cycle ends, unless somebody rejects`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("loop") {
        $0.arguments = ["x-dead-letter-exchange": "", "x-message-ttl": 1000]
      }
      try await client.publish("m", key: "loop")
      for _ in 0..<3 { try await Self.reject(client, from: "loop") }
      #expect(try await house.census("loop") == Census(ready: 1))
      try await client.call(QueuePurge { $0.queue = "loop" }, QueuePurgeOk.self)
      try await client.publish("m", key: "loop")
      try await client.fence()
      try await house.advance(seconds: 2)
      try await house.eventually("it is dropped") { $0.census("loop") == Census() }
    }
  }
}
