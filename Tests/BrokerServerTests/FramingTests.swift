/// Contents cut into frames and put together again, at the sizes that were negotiated.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@Suite struct FramingTests {
  /// Octets whose pattern is longer than a prime, so that no frame begins like another.
  private static func body(_ count: Int) -> [UInt8] {
    let pattern = (0..<10_007).map { UInt8(truncatingIfNeeded: $0 ^ ($0 >> 8)) }
    var body: [UInt8] = []
    while body.count < count { body += pattern.prefix(count - body.count) }
    return body
  }

  @Test(arguments: Depth.whole)
  func `a body is cut into frames of the size that was negotiated`(_ depth: Depth) async throws {
    try await depth.play { house in
      let small = TestClient.Options { $0.frameMaximum = 8192 }
      let (client, large) = (try await house.client(small), try await house.client())
      try await client.declareQueue("q")
      let body = Self.body(100_000)
      try await client.publish(body, key: "q")
      try await client.fence()
      let got = try await large.get("q")?.content
      #expect(got?.parts == [100_000], "in one frame, where frames may be large")
      try await large.publish(body, key: "q")
      try await large.fence()
      let again = try await client.get("q")?.content
      #expect(again?.parts == [Int](repeating: 8184, count: 12) + [100_000 - 12 * 8184])
      let areSame = got?.body == body && again?.body == body
      #expect(areSame)
    }
  }

  @Test(arguments: Depth.whole)
  func `bodies around the size of a frame`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client(TestClient.Options { $0.frameMaximum = 8192 })
      try await client.declareQueue("q")
      try await client.consume("q", noAck: true)
      for size in [0, 1, 8183, 8184, 8185, 16_367, 16_368, 16_369] {
        let body = Self.body(size)
        try await client.publish(body, key: "q")
        let delivery = try await client.deliveries(1)[0]
        #expect(delivery.content.body == body)
        #expect(delivery.content.parts.count == (size + 8183) / 8184)
        #expect(delivery.content.parts.allSatisfy { $0 > 0 })
      }
    }
  }

  @Test(arguments: Depth.whole)
  func `bodies of several MiB`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      let bodies = [Self.body(3 << 20), Self.body(5_000_001)]
      for body in bodies { try await client.publish(body, key: "q") }
      try await client.consume("q")
      for body in bodies {
        let delivery = try await client.deliveries(1)[0]
        // Told in one bit: a text of 5 MiB helps nobody.
        let isSame = delivery.content.body == body
        #expect(isSame && delivery.content.parts.dropLast().allSatisfy { $0 == 131_064 })
      }
    }
  }

  @Test(arguments: Depth.all)
  func `a body may come in frames of any size, with heartbeats between them`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      let heartbeat = Octets.frame(8, channel: 0)
      try await client.send(
        octets: Octets.method(BasicPublish { $0.routingKey = "q" }) + heartbeat + Octets.header(bodySize: 6)
          + Octets.body([97]) + Octets.body([]) + heartbeat + Octets.body([98, 99, 100]) + Octets.body([])
          + Octets.body([101, 102]))
      #expect(try await client.get("q")?.content.text == "abcdef")
    }
  }

  @Test(arguments: Depth.all)
  func `contents of two channels may be mixed`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client(channels: [1, 2])
      try await client.declareQueue("q")
      let publish = BasicPublish { $0.routingKey = "q" }
      try await client.send(
        octets: Octets.method(publish, channel: 1) + Octets.method(publish, channel: 2)
          + Octets.header(channel: 2, bodySize: 2) + Octets.header(channel: 1, bodySize: 2)
          + Octets.body(channel: 2, [50]) + Octets.body(channel: 1, [49, 49]))
      try await client.fence(1)
      try await client.send(octets: Octets.body(channel: 2, [50]))
      try await client.fence(2)
      #expect(try await client.get("q")?.content.text == "11")
      #expect(try await client.get("q")?.content.text == "22")
    }
  }

  @Test(arguments: Depth.all)
  func `properties come out as they came in`(_ depth: Depth) async throws {
    var properties = BasicProperties(headers: [
      "text": "väl", "number": .int32(-5), "nested": .table(["list": .array([1, .void, true])]),
      "octets": .bytes(ByteString([0, 255])), "time": .timestamp(1_700_000_000), "half": .double(0.5),
    ])
    properties.contentType = "text/plain"
    properties.contentEncoding = "utf-8"
    properties.deliveryMode = 2
    properties.priority = 7
    properties.correlationID = "c"
    properties.replyTo = "r"
    properties.expiration = "60000"
    properties.messageID = "m"
    properties.timestamp = 1
    properties.type = "t"
    properties.userID = "guest"
    properties.appID = "a"
    properties.clusterID = "x"
    let sent = properties
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.publish("body", key: "q", properties: sent)
      let got = try await client.get("q")
      #expect(got?.content.properties == sent)
      #expect(got?.method.routingKey == "q" && got?.method.exchange == "" && got?.method.messageCount == 0)
    }
  }

  @Test(arguments: Depth.whole)
  func `a message larger than the broker takes ends the channel`(_ depth: Depth) async throws {
    var settings = Settings()
    settings.bodyMaximum = 1000
    try await depth.play(settings) { house in
      let client = try await house.client(channels: [1, 2])
      try await client.declareQueue("q")
      try await client.publish([UInt8](repeating: 1, count: 1000), key: "q")
      try await client.publish([UInt8](repeating: 1, count: 1001), key: "q")
      let closed = try await client.channelError()
      #expect(closed.code == 406)
      #expect(
        closed.text == "PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000")
      #expect(try await client.messageCount("q", on: 2) == 1)
    }
  }

  @Test(arguments: Depth.all)
  func `methods that come together are answered in order`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.send(
        octets: Octets.method(QueueDeclare { $0.queue = "q" })
          + Octets.method(
            QueueBind {
              $0.queue = "q"
              $0.exchange = "amq.fanout"
            })
          + Octets.publish(BasicPublish { $0.exchange = "amq.fanout" }, body: [1])
          + Octets.method(BasicGet { $0.queue = "q" }) + Octets.method(BasicGet { $0.queue = "q" })
          + Octets.method(QueuePurge { $0.queue = "q" }) + Octets.method(QueueDelete { $0.queue = "q" }))
      _ = try await client.next(QueueDeleteOk.self)
      let names = client.transcript.suffix(6).map { String($0.dropFirst(2).prefix { $0 != "(" }) }
      #expect(
        names == [
          "QueueDeclareOk", "QueueBindOk", "BasicGetOk", "BasicGetEmpty", "QueuePurgeOk", "QueueDeleteOk",
        ])
    }
  }
}
