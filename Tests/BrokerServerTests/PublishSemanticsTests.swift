/// The project's notes on what RabbitMQ does with a publish: the statements that no other suite shows.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore
@testable import BrokerServer

private let persistent: BasicProperties = {
  var properties = BasicProperties()
  properties.deliveryMode = 2
  return properties
}()

/// A publish that is wrong in every way, and is mended step by step.
private struct Mending {
  var exchange: ByteString = "none"
  var immediate = true
  var size = 11
  var properties: BasicProperties = {
    var properties = BasicProperties()
    properties.replyTo = "amq.rabbitmq.reply-to"
    properties.expiration = "soon"
    properties.userID = "root"
    return properties
  }()

  var octets: [UInt8] {
    Octets.publish(
      BasicPublish {
        $0.exchange = exchange
        $0.routingKey = "k"
        $0.immediate = immediate
      }, properties: properties, body: [UInt8](repeating: 7, count: size))
  }
}

@Suite struct PublishSemanticsTests {
  @Test(arguments: Depth.whole)
  func `the first failing check decides, in RabbitMQ's order`(_ depth: Depth) async throws {
    var settings = Settings()
    settings.bodyMaximum = 10
    try await depth.play(settings) { house in
      let readAlone = Permissions(configure: ".*", write: "^$", read: ".*")
      try await house.permit(readAlone, topics: TopicPermissions(write: "^$", read: ".*"))
      var mending = Mending()
      let first = try await house.client(.user("alice"))
      try await first.send(octets: mending.octets)
      let closed = try await first.connectionError()
      #expect(closed.code == 540 && closed.text == "NOT_IMPLEMENTED - immediate=true")
      mending.immediate = false

      let client = try await house.client(.user("alice"))
      #expect(
        try await client.refusal(mending.octets)
          == "406 PRECONDITION_FAILED - message size 11 is larger than configured max size 10")
      mending.size = 10
      #expect(
        try await client.refusal(mending.octets)
          == "403 ACCESS_REFUSED - write access to exchange 'none' in vhost '/' refused for user 'alice'")
      try await house.permit(.everything, topics: TopicPermissions(write: "^$", read: ".*"))
      #expect(
        try await client.refusal(mending.octets) == "404 NOT_FOUND - no exchange 'none' in vhost '/'")
      mending.exchange = "amq.rabbitmq.trace"
      #expect(
        try await client.refusal(mending.octets)
          == "403 ACCESS_REFUSED - cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '/'")
      mending.exchange = "amq.topic"
      #expect(
        try await client.refusal(mending.octets)
          == "406 PRECONDITION_FAILED - fast reply consumer does not exist")
      mending.properties.replyTo = nil
      #expect(
        try await client.refusal(mending.octets)
          == "406 PRECONDITION_FAILED - invalid expiration 'soon': no_integer")
      mending.properties.expiration = nil
      #expect(
        try await client.refusal(mending.octets)
          == "403 ACCESS_REFUSED - write access to topic 'k' in exchange 'amq.topic' in vhost '/' refused "
          + "for user 'alice'")
      try await house.permit(.everything)
      #expect(
        try await client.refusal(mending.octets)
          == "406 PRECONDITION_FAILED - user_id property set to 'root' but authenticated user was 'alice'")
      mending.properties.userID = "alice"
      try await client.declareQueue("q")
      try await client.call(bind("q", "amq.topic", "#"), QueueBindOk.self)
      try await client.send(octets: mending.octets)
      #expect(try await client.get("q")?.content.body.count == 10)
    }
  }

  @Test(arguments: Depth.whole)
  func `CC and BCC are routing keys, and BCC is seen by nobody`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      for queue in ["to", "copy", "blind"] as [ByteString] { try await client.declareQueue(queue) }
      let headers: FieldTable = ["CC": .array(["copy"]), "BCC": .array(["blind", "to"]), "mine": 1]
      try await client.publish("m", key: "to", mandatory: true, properties: .init(headers: headers))
      for queue in ["to", "copy", "blind"] as [ByteString] {
        let got = try await client.get(queue)
        #expect(got?.content.properties.headers == ["CC": .array(["copy"]), "mine": 1])
        #expect(got?.method.routingKey == "to" && got?.method.messageCount == 0)
      }
      try await client.publish(
        "m", key: "nobody", mandatory: true, properties: .init(headers: ["BCC": .array(["nowhere"])]))
      let back = try await client.next(BasicReturn.self)
      #expect(back.method.replyCode == 312 && back.content?.properties.headers == [:])
      #expect(
        try await client.refusal(
          Octets.publish(
            BasicPublish { $0.routingKey = "to" }, properties: .init(headers: ["BCC": 5]), body: []))
          == "406 PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,\"BCC\",long}")
    }
  }

  @Test(arguments: Depth.whole)
  func `a message whose queue is deleted before it is safe is confirmed`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q") { $0.durable = true }
      try await client.call(ConfirmSelect(), ConfirmSelectOk.self)
      try await client.send(
        octets: Octets.publish(
          BasicPublish { $0.routingKey = "q" }, properties: persistent, body: [1])
          + Octets.method(QueueDelete { $0.queue = "q" }))
      #expect(try await client.next(QueueDeleteOk.self).method.messageCount == 1)
      #expect(try await client.next(BasicAck.self).method.deliveryTag == 1)
    }
  }

  /// RabbitMQ ends the connection with 504 while the commit is not done.
  @Test(arguments: Depth.whole)
  func `what follows a commit waits for its answer`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q") { $0.durable = true }
      try await client.call(TxSelect(), TxSelectOk.self)
      try await client.send(
        octets: Octets.publish(
          BasicPublish { $0.routingKey = "q" }, properties: persistent, body: [1])
          + Octets.method(TxCommit()) + Octets.method(ChannelFlow { $0.active = true }))
      _ = try await client.next(ChannelFlowOk.self)
      #expect(client.waiting.map(\.description).contains { $0.hasPrefix("1 TxCommitOk") })
      #expect(try await client.messageCount("q") == 1)
    }
  }

  @Test func `who publishes hears of an alarm, if it can, and who only consumes does not`() async throws {
    let store = TestStore()
    let clock = FakeClock()
    let broker = try Broker(settings: Settings(), clock: clock, logger: .silent, store: store)
    let server = MemoryServer(broker, store: store)
    func client(_ options: TestClient.Options = .init()) async throws -> TestClient {
      let client = TestClient(line: server.connect())
      try await client.logIn(options)
      try await client.openChannel()
      return client
    }
    let (publisher, consumer) = (try await client(), try await client())
    let deaf = try await client(TestClient.Options { $0.capabilities = [:] })
    try await consumer.declareQueue("q") { $0.durable = true }
    try await consumer.consume("q")
    store.space = .low("full")
    for one in [publisher, deaf, publisher, deaf] {
      try await one.publish("m", key: "q", properties: persistent)
    }
    #expect(try await publisher.next(ConnectionBlocked.self, on: 0).method.reason == "low on disk")
    try await consumer.fence()
    store.space = .enough
    clock.advance(seconds: 1)
    server.tick()
    _ = try await publisher.next(ConnectionUnblocked.self, on: 0)
    _ = try await consumer.deliveries(4)
    try await deaf.fence()
    #expect(deaf.waiting.isEmpty && consumer.waiting.isEmpty)
  }
}
