/// What the broker tells of itself at its own exchanges.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@testable import BrokerServer

@Suite struct EventExchangeTests {
  private static func listener(
    _ house: House, _ exchange: ByteString, key: ByteString = "#"
  ) async throws -> TestClient {
    let listener = try await house.client()
    try await listener.declareQueue("told")
    try await listener.consume("told", noAck: true)
    try await listener.call(
      QueueBind {
        $0.queue = "told"
        $0.exchange = exchange
        $0.routingKey = key
      }, QueueBindOk.self)
    return listener
  }

  /// The keys of what is told next, and its headers.
  private static func told(
    _ listener: TestClient, _ count: Int
  ) async throws -> (keys: [ByteString], headers: [FieldTable]) {
    let all = try await listener.deliveries(count)
    #expect(all.allSatisfy { $0.content.body.isEmpty && $0.content.properties.deliveryMode == 2 })
    return (all.map(\.method.routingKey), all.map { $0.content.properties.headers ?? [:] })
  }

  @Test(arguments: Depth.whole)
  func `a client's life is told from its login to its end`(_ depth: Depth) async throws {
    try await depth.play { house in
      let listener = try await Self.listener(house, "amq.rabbitmq.event")
      #expect(try await Self.told(listener, 1).keys == ["binding.created"])
      let client = try await house.client(channels: [5])
      let (began, facts) = try await Self.told(listener, 3)
      #expect(began == ["user.authentication.success", "connection.created", "channel.created"])
      #expect(facts[0]["name"] == "guest" && facts[0]["auth_mechanism"] == "PLAIN")
      #expect(facts[1]["vhost"] == "/" && facts[1]["user_who_performed_action"] == "guest")
      #expect(facts[2]["number"] == .int64(5))
      try await client.closeChannel(5)
      try await client.logOut()
      #expect(try await Self.told(listener, 2).keys == ["channel.closed", "connection.closed"])
    }
  }

  @Test(arguments: Depth.whole)
  func `queues, exchanges, bindings and consumers are told`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      let listener = try await Self.listener(house, "amq.rabbitmq.event")
      _ = try await Self.told(listener, 1)
      try await client.call(
        ExchangeDeclare {
          $0.exchange = "e"
          $0.type = "fanout"
        }, ExchangeDeclareOk.self)
      try await client.declareQueue("q") { $0.arguments = ["x-max-length": .int32(5)] }
      try await client.call(
        QueueBind {
          $0.queue = "q"
          $0.exchange = "e"
          $0.routingKey = "k"
        }, QueueBindOk.self)
      try await client.consume("q", tag: "c")
      try await client.call(QueueDelete { $0.queue = "q" }, QueueDeleteOk.self)
      try await client.call(ExchangeDelete { $0.exchange = "e" }, ExchangeDeleteOk.self)
      let (keys, facts) = try await Self.told(listener, 8)
      #expect(
        keys == [
          "exchange.created", "queue.created", "binding.created", "consumer.created", "binding.deleted",
          "consumer.deleted", "queue.deleted", "exchange.deleted",
        ])
      #expect(facts[0]["name"] == "e" && facts[0]["type"] == "fanout" && facts[0]["durable"] == false)
      #expect(facts[1]["arguments"] == .table(["x-max-length": .int32(5)]))
      #expect(facts[1]["user_who_performed_action"] == "guest")
      #expect(facts[2]["source_name"] == "e" && facts[2]["routing_key"] == "k")
      #expect(facts[2]["destination_name"] == "q" && facts[2]["destination_kind"] == "queue")
      #expect(facts[3]["consumer_tag"] == "c" && facts[3]["ack_required"] == true)
      let now = house.clock.wallMilliseconds
      #expect(facts.allSatisfy { $0["timestamp_in_ms"] == .int64(Int64(now)) })
    }
  }

  @Test(arguments: Depth.whole)
  func `what an operator does is told`(_ depth: Depth) async throws {
    try await depth.play { house in
      let listener = try await Self.listener(house, "amq.rabbitmq.event")
      _ = try await Self.told(listener, 1)
      try await house.inBroker { broker in
        try broker.users.add(User(name: "ann", password: PasswordHash(of: "secret"), tags: ["monitoring"]))
        try broker.addVirtualHost("v")
        try broker.users.permit("ann", in: "v", .everything)
        try broker.users.permit("ann", in: "v", nil)
        try broker.removeVirtualHost("v")
        try broker.users.remove("ann")
      }
      // Its six exchanges go with the virtual host.
      let (keys, facts) = try await Self.told(listener, 13)
      #expect(
        keys.filter { $0 != "exchange.deleted" } == [
          "user.created", "user.tags.set", "vhost.created", "permission.created", "permission.deleted",
          "vhost.deleted", "user.deleted",
        ])
      #expect(facts[3]["user"] == "ann" && facts[3]["vhost"] == "v" && facts[3]["configure"] == ".*")
    }
  }

  @Test(arguments: Depth.whole)
  func `a login that fails is told with its reason`(_ depth: Depth) async throws {
    try await depth.play { house in
      let listener = try await Self.listener(house, "amq.rabbitmq.event", key: "user.authentication.failure")
      let client = try await house.raw()
      var options = TestClient.Options()
      options.password = "wrong"
      try? await client.logIn(options)
      let (keys, facts) = try await Self.told(listener, 1)
      #expect(keys == ["user.authentication.failure"])
      #expect(facts[0]["name"] == "guest" && facts[0]["error"]?.string != nil)
    }
  }

  @Test(arguments: Depth.whole)
  func `clients may not publish to the broker's own exchanges`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.publish("x", to: "amq.rabbitmq.event", key: "k")
      let closed = try await client.channelError()
      #expect(closed.code == 403)
      #expect(
        closed.text
          == "ACCESS_REFUSED - cannot publish to internal exchange 'amq.rabbitmq.event' in vhost '/'")
    }
  }

  @Test func `lines of the log go to whoever is bound to their level`() async throws {
    var settings = Settings()
    settings.logsToExchange = true
    try await Depth.memory.play(settings) { house in
      let listener = try await Self.listener(house, "amq.rabbitmq.log", key: "warning")
      try await house.inBroker { broker in
        broker.tellLog("info", "unheard")
        broker.tellLog("warning", "beware")
      }
      let line = try await listener.deliveries(1)[0]
      #expect(line.text == "beware" && line.method.routingKey == "warning")
      #expect(line.content.properties.contentType == "text/plain")
      #expect(line.content.properties.headers?["node"]?.string != nil)
    }
  }

  @Test func `without the setting there is no exchange for the log`() async throws {
    try await Depth.memory.play { house in
      let client = try await house.client()
      try await client.send(
        ExchangeDeclare {
          $0.exchange = "amq.rabbitmq.log"
          $0.type = "topic"
          $0.passive = true
        })
      #expect(try await client.channelError().code == 404)
    }
  }
}
