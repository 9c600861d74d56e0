/// What clients see of quorum queues, in RabbitMQ 3.13's words.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@testable import BrokerServer

@Suite struct QuorumTests {
  private static let quorum: FieldTable = ["x-queue-type": "quorum"]

  private static func declare(
    _ client: TestClient, _ name: ByteString = "q", _ arguments: FieldTable = [:],
    _ change: (inout QueueDeclare) -> Void = { _ in }
  ) async throws {
    try await client.send(
      QueueDeclare {
        $0.queue = name
        $0.durable = true
        $0.arguments = arguments
        $0.arguments["x-queue-type"] = "quorum"
        change(&$0)
      })
  }

  /// The text with which a declaration is refused.
  private static func refusal(
    _ house: House, _ name: ByteString = "q", _ change: @escaping (inout QueueDeclare) -> Void
  ) async throws -> String {
    let client = try await house.client()
    try await declare(client, name, [:], change)
    let closed = try await client.channelError()
    #expect(closed.code == 406)
    return closed.text
  }

  @Test(arguments: Depth.whole)
  func `what no quorum queue can be is refused`(_ depth: Depth) async throws {
    try await depth.play { house in
      var texts = [try await Self.refusal(house) { $0.durable = false }]
      texts.append(
        try await Self.refusal(house) {
          $0.exclusive = true
          $0.durable = false
        })
      texts.append(
        try await Self.refusal(house) {
          $0.autoDelete = true
          $0.exclusive = true
        })
      texts.append(try await Self.refusal(house, "") { _ in })
      let properties = ["non-durable", "exclusive-owner", "auto-delete"]
      #expect(
        texts == properties.map {
          "PRECONDITION_FAILED - invalid property '\($0)' for queue 'q' in vhost '/'"
        } + ["PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_quorum_queue"])
    }
  }

  @Test(arguments: Depth.whole)
  func `it is not deleted on condition`(_ depth: Depth) async throws {
    try await depth.play { house in
      for (isUnused, flag) in [(true, "if-unused"), (false, "if-empty")] {
        let client = try await house.client()
        try await Self.declare(client)
        _ = try await client.next(QueueDeclareOk.self)
        try await client.send(
          QueueDelete {
            $0.queue = "q"
            $0.ifUnused = isUnused
            $0.ifEmpty = !isUnused
          })
        let closed = try await client.connectionError()
        #expect(closed.code == 540)
        #expect(
          closed.text
            == ("NOT_IMPLEMENTED - cannot delete queue 'q' in vhost '/'. queue.delete operations with \(flag) "
              + "flag set are not supported by quorum queues"))
      }
    }
  }

  @Test(arguments: Depth.whole)
  func `a limit of the whole channel is not for quorum queues`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await Self.declare(client)
      _ = try await client.next(QueueDeclareOk.self)
      try await client.call(
        BasicQos {
          $0.prefetchCount = 3
          $0.global = true
        }, BasicQosOk.self)
      try await client.send(BasicConsume { $0.queue = "q" })
      let closed = try await client.connectionError()
      #expect(closed.code == 540)
      #expect(closed.text == "NOT_IMPLEMENTED - queue 'q' in vhost '/' does not support global qos")
    }
  }

  @Test(arguments: Depth.whole)
  func `exclusive consumers are not refused, getters beside a single active one are`(_ depth: Depth)
    async throws
  {
    try await depth.play { house in
      let client = try await house.client()
      try await Self.declare(client, "q", ["x-single-active-consumer": true])
      _ = try await client.next(QueueDeclareOk.self)
      for tag: ByteString in ["a", "b"] {
        try await client.call(
          BasicConsume {
            $0.queue = "q"
            $0.consumerTag = tag
            $0.exclusive = true
          }, BasicConsumeOk.self)
      }
      try await client.send(BasicGet { $0.queue = "q" })
      let closed = try await client.channelError()
      #expect(closed.code == 405)
      #expect(
        closed.text
          == ("RESOURCE_LOCKED - cannot obtain access to locked queue 'q' in vhost '/'. basic.get operations are "
            + "not supported by quorum queues with single active consumer"))
    }
  }

  @Test(arguments: Depth.whole)
  func `consumers may not ask for failover`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await Self.declare(client)
      _ = try await client.next(QueueDeclareOk.self)
      try await client.send(
        BasicConsume {
          $0.queue = "q"
          $0.arguments = ["x-cancel-on-ha-failover": true]
        })
      let closed = try await client.channelError()
      #expect(
        closed.text
          == "PRECONDITION_FAILED - invalid arg 'x-cancel-on-ha-failover' for queue 'q' in vhost '/' "
          + "of queue type rabbit_quorum_queue")
    }
  }

  @Test(arguments: Depth.all)
  func `a delivery that comes again says how often, and what a channel left comes first`(_ depth: Depth)
    async throws
  {
    try await depth.play { house in
      let client = try await house.client(channels: [1, 2])
      try await Self.declare(client)
      _ = try await client.next(QueueDeclareOk.self)
      for body in ["1", "2", "3"] { try await client.publish(body, key: "q") }
      try await client.call(BasicQos { $0.prefetchCount = 2 }, BasicQosOk.self)
      try await client.consume("q", tag: "a")
      #expect(try await client.deliveries(2).map(\.text) == ["1", "2"])
      try await client.closeChannel()
      try await client.send(BasicConsume { $0.queue = "q" }, on: 2)
      _ = try await client.next(BasicConsumeOk.self, on: 2)
      let again = try await client.deliveries(3, on: 2)
      #expect(again.map(\.text) == ["1", "2", "3"])
      #expect(again.map(\.method.redelivered) == [true, true, false])
      let counts = again.map { $0.content.properties.headers?["x-delivery-count"] }
      #expect(counts == [.int64(1), .int64(1), nil])
    }
  }
}
