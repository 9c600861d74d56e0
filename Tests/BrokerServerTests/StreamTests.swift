/// Streams as a client sees them: what they refuse, and a replay while others publish.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@testable import BrokerServer

@Suite struct StreamTests {
  private static func declare(_ client: TestClient, _ name: ByteString = "s") async throws {
    try await client.declareQueue(name) {
      $0.durable = true
      $0.arguments = ["x-queue-type": "stream"]
    }
  }

  private static func reader(
    _ house: House, _ offset: FieldValue?, prefetch: UInt16 = 100
  ) async throws -> TestClient {
    let client = try await house.client()
    try await client.call(BasicQos { $0.prefetchCount = prefetch }, BasicQosOk.self)
    try await client.consume("s") { $0.arguments["x-stream-offset"] = offset }
    return client
  }

  @Test(arguments: Depth.all)
  func `many read the same, from where each likes, while others publish`(_ depth: Depth) async throws {
    try await depth.play { house in
      let publisher = try await house.client()
      try await Self.declare(publisher)
      for body in ["0", "1", "2"] { try await publisher.publish(body, key: "s") }
      try await publisher.fence()
      #expect(try await publisher.messageCount("s") == 3)
      let readers = [
        try await Self.reader(house, "first"), try await Self.reader(house, .int32(2)),
        try await Self.reader(house, nil), try await Self.reader(house, "1h"),
      ]
      for body in ["3", "4"] { try await publisher.publish(body, key: "s") }
      for (reader, expected) in zip(readers, [0...4, 2...4, 3...4, 0...4]) {
        let found = try await reader.deliveries(expected.count)
        #expect(found.map(\.text) == expected.map(String.init))
        let offsets = found.map { $0.content.properties.headers?["x-stream-offset"] }
        #expect(offsets == expected.map { .int64(Int64($0)) })
      }
    }
  }

  @Test(arguments: Depth.whole)
  func `what is acknowledged or refused makes room, and is there for others`(_ depth: Depth) async throws {
    try await depth.play { house in
      let publisher = try await house.client()
      try await Self.declare(publisher)
      for number in 0..<6 { try await publisher.publish("\(number)", key: "s") }
      try await publisher.fence()
      let reader = try await Self.reader(house, "first", prefetch: 2)
      #expect(try await reader.deliveries(2).map(\.text) == ["0", "1"])
      try await reader.fence()
      #expect(reader.waiting.isEmpty)
      try await reader.ack(1)
      #expect(try await reader.deliveries(1).map(\.text) == ["2"])
      try await reader.send(
        BasicNack {
          $0.deliveryTag = 3
          $0.multiple = true
          $0.requeue = true
        })
      #expect(try await reader.deliveries(2).map(\.text) == ["3", "4"])
      try await reader.send(BasicReject { $0.deliveryTag = 4 })
      #expect(try await reader.deliveries(1).map(\.text) == ["5"])
      #expect(try await publisher.messageCount("s") == 6)
    }
  }

  @Test(arguments: Depth.whole)
  func `nothing is taken out of a stream`(_ depth: Depth) async throws {
    try await depth.play { house in
      for (text, work) in [
        (
          "NOT_IMPLEMENTED - basic.get not supported by stream queues queue 's' in vhost '/'",
          { client in try await client.send(BasicGet { $0.queue = "s" }) }
        ),
        (
          "NOT_IMPLEMENTED - queue.purge not supported by stream queues queue 's' in vhost '/'",
          { client in try await client.send(QueuePurge { $0.queue = "s" }) }
        ),
        (
          "NOT_IMPLEMENTED - automatic acknowledgement not supported by stream queues queue 's' in vhost '/'",
          { client in
            try await client.call(BasicQos { $0.prefetchCount = 1 }, BasicQosOk.self)
            try await client.send(
              BasicConsume {
                $0.queue = "s"
                $0.noAck = true
              })
          }
        ),
      ] as [(String, (TestClient) async throws -> Void)] {
        let client = try await house.client()
        try await Self.declare(client)
        try await work(client)
        let closed = try await client.connectionError()
        #expect(closed.code == 540 && closed.text == text)
      }
      let client = try await house.client()
      try await client.send(BasicConsume { $0.queue = "s" })
      let closed = try await client.channelError()
      #expect(
        closed.code == 406
          && closed.text
            == "PRECONDITION_FAILED - consumer prefetch count is not set for 'queue 's' in vhost '/''"
      )
    }
  }

  @Test(arguments: Depth.whole)
  func `a stream is deleted whatever is in it, and its readers hear of it`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await Self.declare(client)
      try await client.publish("0", key: "s")
      try await client.fence()
      let reader = try await Self.reader(house, "next")
      let answer = try await client.call(
        QueueDelete {
          $0.queue = "s"
          $0.ifEmpty = true
          $0.ifUnused = true
        }, QueueDeleteOk.self)
      #expect(answer.messageCount == 0)
      #expect(try await reader.next(BasicCancel.self).method.consumerTag == "tag")
    }
  }
}
