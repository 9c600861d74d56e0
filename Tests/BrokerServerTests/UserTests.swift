/// What the broker's own users may do over a connection, and how many connections and channels they may have.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore
@testable import BrokerServer

@Suite struct UserTests {
  private static func add(_ house: House, _ permissions: Permissions?) async throws {
    try await house.inBroker { broker in
      try broker.users.add(User(name: "alice", password: PasswordHash(of: "secret")))
      if let permissions { try broker.users.permit("alice", in: "/", permissions) }
    }
  }

  private static func refused(_ client: TestClient, _ send: () async throws -> Void) async throws -> String {
    try await send()
    let text = try await client.channelError().text
    try await client.openChannel()
    return text
  }

  @Test(arguments: Depth.whole)
  func `each operation asks for its permission, with RabbitMQ's words`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.add(
        house, Permissions(configure: "^mine", write: "^mine|^amq\\.default$", read: "^mine"))
      let client = try await house.client(.user("alice"))
      try await client.declareQueue("mine-q")
      try await client.publish("m", key: "mine-q")
      #expect(try await client.get("mine-q")?.content.text == "m")
      func refused(_ method: some Method) async throws -> String {
        try await Self.refused(client) { try await client.send(method) }
      }
      func text(_ operation: String, _ kind: String, _ name: String) -> String {
        "ACCESS_REFUSED - \(operation) access to \(kind) '\(name)' in vhost '/' refused for user 'alice'"
      }
      #expect(try await refused(QueueDeclare { $0.queue = "yours" }) == text("configure", "queue", "yours"))
      #expect(try await refused(QueueDelete { $0.queue = "yours" }) == text("configure", "queue", "yours"))
      #expect(try await refused(QueuePurge { $0.queue = "yours" }) == text("read", "queue", "yours"))
      #expect(try await refused(BasicGet { $0.queue = "yours" }) == text("read", "queue", "yours"))
      #expect(try await refused(BasicConsume { $0.queue = "yours" }) == text("read", "queue", "yours"))
      #expect(
        try await refused(
          ExchangeDeclare {
            $0.exchange = "x"
            $0.type = "fanout"
          }) == text("configure", "exchange", "x"))
      #expect(
        try await refused(ExchangeDelete { $0.exchange = "x" }) == text("configure", "exchange", "x"))
      #expect(
        try await refused(
          QueueBind {
            $0.queue = "mine-q"
            $0.exchange = "amq.topic"
          }) == text("read", "exchange", "amq.topic"))
      #expect(
        try await refused(
          QueueBind {
            $0.queue = "yours"
            $0.exchange = "amq.topic"
          }) == text("write", "queue", "yours"))
      #expect(
        try await refused(
          QueueDeclare {
            $0.queue = "mine-2"
            $0.arguments = ["x-dead-letter-exchange": "yours"]
          }) == text("write", "exchange", "yours"))
      #expect(
        try await Self.refused(client) { try await client.publish("m", to: "amq.topic", key: "k") }
          == text("write", "exchange", "amq.topic"))
    }
  }

  @Test(arguments: Depth.whole)
  func `what is permitted and taken away counts for the next operation`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.add(house, .everything)
      let client = try await house.client(.user("alice"))
      try await client.declareQueue("q")
      for _ in 0..<3 { try await client.publish("m", key: "q") }
      try await client.fence()
      try await house.inBroker { broker in
        try broker.users.permit("alice", in: "/", Permissions(configure: ".*", write: "^$", read: ".*"))
      }
      let text = try await Self.refused(client) { try await client.publish("m", key: "q") }
      #expect(
        text
          == "ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for user 'alice'")
      try await house.inBroker { try $0.users.permit("alice", in: "/", .everything) }
      try await client.publish("m", key: "q")
      try await client.fence()
      #expect(try await house.census("q")?.ready == 4)
    }
  }

  @Test(arguments: Depth.whole)
  func `who has no permissions in a virtual host cannot open it`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.add(house, nil)
      let client = try await house.raw()
      try await client.greet()
      try await client.tune(.user("alice"))
      try await client.send(ConnectionOpen { $0.virtualHost = "/" }, on: 0)
      let error = try await client.connectionError()
      #expect(error.code == 530)
      #expect(error.text == "NOT_ALLOWED - access to vhost '/' refused for user 'alice'")
    }
  }

  // MARK: topics

  @Test(arguments: Depth.whole)
  func `topic permissions ask about routing keys, those of CC too`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.add(house, .everything)
      try await house.inBroker { broker in
        try broker.users.permitTopics(
          "alice", in: "/", exchange: "amq.topic",
          TopicPermissions(write: "^{username}\\.", read: "^{vhost}:{username}\\.|^all$"))
      }
      let client = try await house.client(.user("alice"))
      try await client.declareQueue("q")
      func bind(_ key: ByteString) -> QueueBind {
        QueueBind {
          $0.queue = "q"
          $0.exchange = "amq.topic"
          $0.routingKey = key
        }
      }
      try await client.call(bind("/:alice.news"), QueueBindOk.self)
      try await client.call(bind("all"), QueueBindOk.self)
      func text(_ operation: String, _ key: String) -> String {
        "ACCESS_REFUSED - \(operation) access to topic '\(key)' in exchange 'amq.topic' in vhost '/' refused "
          + "for user 'alice'"
      }
      #expect(
        try await Self.refused(client) { try await client.send(bind("bob.news")) } == text("read", "bob.news")
      )
      try await client.publish("m", to: "amq.topic", key: "alice.x")
      try await client.fence()
      #expect(
        try await Self.refused(client) { try await client.publish("m", to: "amq.topic", key: "bob.x") }
          == text("write", "bob.x"))
      let carbon = BasicProperties(headers: ["CC": .array(["alice.y", "bob.y"])])
      #expect(
        try await Self.refused(client) {
          try await client.publish("m", to: "amq.topic", key: "alice.x", properties: carbon)
        } == text("write", "bob.y"))
      // Other exchanges restrict nothing.
      try await client.publish("m", to: "amq.direct", key: "bob.x")
      try await client.fence()
    }
  }

  // MARK: limits

  private static func openError(_ house: House, _ options: TestClient.Options) async throws -> String {
    let client = try await house.raw()
    try await client.greet()
    try await client.tune(options)
    try await client.send(options.open, on: 0)
    let error = try await client.connectionError()
    #expect(error.code == 530)
    return error.text
  }

  @Test(arguments: Depth.whole)
  func `a user has so many connections and channels, and no more`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.add(house, .everything)
      try await house.inBroker { broker in
        try broker.users.change("alice") { $0.limits = UserLimits(connections: 2, channels: 3) }
      }
      let first = try await house.client(.user("alice"), channels: [1, 2])
      let second = try await house.client(.user("alice"), channels: [1])
      #expect(
        try await Self.openError(house, .user("alice"))
          == "NOT_ALLOWED - connection refused for user 'alice': user connection limit (2) is reached")
      try await second.send(ChannelOpen(), on: 2)
      #expect(
        try await second.connectionError().text
          == "NOT_ALLOWED - number of channels opened for user 'alice' has reached the maximum allowed user "
          + "limit of (3)")
      try await house.eventually("the second is gone") { $0.census.connections(of: "alice") == 1 }
      try await first.openChannel(3)
      try await first.closeChannel(3)
      try await first.openChannel(4)
      #expect(try await house.inBroker { $0.census.channels(of: "alice") } == 3)
      try await first.logOut()
      try await house.eventually("all are gone") {
        $0.census.connections(of: "alice") == 0 && $0.census.channels(of: "alice") == 0
          && $0.census.connections(in: "/") == 0
      }
    }
  }

  @Test(arguments: Depth.whole)
  func `a virtual host has so many connections and queues, and no more`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await house.inBroker {
        try $0.limitVirtualHost("/", VirtualHostLimits(connections: 1, queues: 2))
      }
      let client = try await house.client()
      #expect(
        try await Self.openError(house, .init())
          == "NOT_ALLOWED - access to vhost '/' refused for user 'guest': connection limit (1) is reached")
      try await client.declareQueue("a")
      try await client.declareQueue("b")
      let text = try await Self.refused(client) { try await client.send(QueueDeclare { $0.queue = "c" }) }
      #expect(
        text == "PRECONDITION_FAILED - cannot declare queue 'c': queue limit in vhost '/' (2) is reached")
      try await client.declareQueue("a")
    }
  }

  @Test(arguments: Depth.whole)
  func `without a user or a virtual host its connections end`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.add(house, .everything)
      try await house.inBroker { broker in
        try broker.addVirtualHost("other")
        try broker.users.permit("guest", in: "other", .everything)
      }
      let alice = try await house.client(.user("alice"))
      let guest = try await house.client()
      let other = try await house.client(.init { $0.virtualHost = "other" })
      try await other.declareQueue("q")
      try await other.consume("q")
      try await house.inBroker { try $0.users.remove("alice") }
      let error = try await alice.connectionError()
      #expect(error.code == 320 && error.text == "CONNECTION_FORCED - user 'alice' is deleted")
      try await house.inBroker { try $0.removeVirtualHost("other") }
      #expect(try await other.connectionError().text == "CONNECTION_FORCED - vhost 'other' is deleted")
      try await guest.declareQueue("still-here")
      #expect(
        try await Self.openError(house, .init { $0.virtualHost = "other" })
          == "NOT_ALLOWED - vhost other not found")
    }
  }

  @Test(arguments: Depth.whole)
  func `new credentials cost the consumers whose queues may no more be read`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.add(house, .everything)
      let client = try await house.client(.user("alice"))
      for queue: ByteString in ["mine", "yours"] {
        try await client.declareQueue(queue)
        try await client.consume(queue, tag: queue)
      }
      try await house.inBroker { broker in
        try broker.users.permit("alice", in: "/", Permissions(configure: "", write: "", read: "^mine$"))
      }
      try await client.send(ConnectionUpdateSecret { $0.newSecret = "s" }, on: 0)
      #expect(try await client.next(BasicCancel.self).method.consumerTag == "yours")
      _ = try await client.next(ConnectionUpdateSecretOk.self, on: 0)
      #expect(try await house.census("mine")?.consumers == 1)
      #expect(try await house.census("yours")?.consumers == 0)
      try await house.inBroker { try $0.users.permit("alice", in: "/", nil) }
      try await client.send(ConnectionUpdateSecret { $0.newSecret = "s" }, on: 0)
      #expect(
        try await client.connectionError().text
          == "NOT_ALLOWED - access to vhost '/' refused for user 'alice'")
    }
  }

  @Test(arguments: Depth.whole)
  func `a queue that says no type is of the virtual host's, where it may be`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await house.inBroker {
        try $0.changeVirtualHost("/", VirtualHostDefinition(defaultQueueType: "quorum"))
      }
      let client = try await house.client()
      try await client.declareQueue("durable") { $0.durable = true }
      try await client.declareQueue("durable") {
        $0.durable = true
        $0.arguments = ["x-queue-type": "quorum"]
      }
      try await client.declareQueue("transient")
      let types = try await house.inBroker { broker in
        try ["durable", "transient"].map { try broker.virtualHost("/").queue($0).type }
      }
      #expect(types == [.quorum, .classic])
    }
  }
}
