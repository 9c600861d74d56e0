/// Peers that do not read: what waits for them is bounded, they are not read further, and all goes on when
/// they read again. Exactly in memory, where octets can be counted, and over TCP, where the system keeps
/// some too.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@Suite struct BackpressureTests {
  /// What may stand before a peer that reads nothing: what NIO holds back, and the outbox.
  private static let bound = 1_048_576 + Settings().outboxLimit
  private static let bodySize = 65_536

  /// Bodies that begin with their number.
  private static func body(_ number: Int, size: Int = bodySize) -> [UInt8] {
    let head = Array("\(number).".utf8)
    return head + [UInt8](repeating: 120, count: size - head.count)
  }

  private static func number(_ content: Content) -> Int? { Int(content.text.prefix { $0 != "." }) }

  /// Publishes so many messages with the numbers from 0, and returns when they are in the queue.
  private static func fill(_ queue: ByteString, _ count: Int, _ client: TestClient) async throws {
    for number in 0..<count { try await client.publish(body(number), key: queue) }
    try await client.fence()
  }

  private static func outbound(_ client: TestClient) throws -> MemoryLine {
    try #require(client.line as? MemoryLine)
  }

  @Test(arguments: [true, false], [true, false])
  func `a consumer that does not read is given no more than the bound, and goes on where it stopped`(
    _ noAck: Bool, _ consumesFirst: Bool
  ) async throws {
    try await Depth.memory.play { house in
      let (slow, publisher) = (try await house.client(), try await house.client())
      try await publisher.declareQueue("q")
      if !consumesFirst { try await Self.fill("q", 100, publisher) }
      try await slow.consume("q", noAck: noAck)
      if consumesFirst { try await Self.fill("q", 100, publisher) }

      let waiting = try Self.outbound(slow).outbound.count
      #expect(waiting > Self.bound / 4 && waiting < Self.bound + 2 * Self.bodySize, "\(waiting) octets wait")
      let held = try await house.census("q")
      #expect((held?.ready ?? 0) > 60, "the rest waits in the queue")
      #expect(noAck == (held?.unsettled == 0))

      let deliveries = try await slow.deliveries(100)
      #expect(deliveries.map { Self.number($0.content) } == Array(0..<100))
      if !noAck { try await slow.ack(100, multiple: true) }
      try await slow.fence()
      #expect(try await house.census("q") == Census(consumers: 1))
    }
  }

  @Test func `a consumer that does not read leaves the messages to those that do`() async throws {
    try await Depth.memory.play { house in
      let (slow, quick) = (try await house.client(), try await house.client())
      try await quick.declareQueue("q")
      try await slow.consume("q", noAck: true)
      try await quick.consume("q", noAck: true)
      for number in 0..<200 {
        try await quick.publish(Self.body(number), key: "q")
        try await quick.fence()
      }
      #expect(try await house.census("q") == Census(consumers: 2))
      #expect(try Self.outbound(slow).outbound.count < Self.bound + 2 * Self.bodySize)
    }
  }

  /// As one frame a read, and all frames in one read: a peer must not fill the memory with one read either.
  @Test(arguments: [true, false])
  func `a peer that does not read its replies is not read any further`(_ isOneWrite: Bool) async throws {
    try await Depth.memory.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await Self.fill("q", 200, client)
      let get = Octets.method(BasicGet { $0.queue = "q" })
      if isOneWrite {
        try await client.send(octets: (0..<200).flatMap { _ in get })
      } else {
        for _ in 0..<200 { try await client.send(octets: get) }
      }
      let line = try Self.outbound(client)
      #expect(line.outbound.count < Self.bound + 2 * Self.bodySize, "\(line.outbound.count) octets wait")
      #expect((try await house.census("q")?.ready ?? 0) > 100)
      if !isOneWrite { #expect(line.unreadCount > 0) }
      for number in 0..<200 {
        let got = try await client.nextGot()
        #expect(got.flatMap { Self.number($0.content) } == number)
      }
      #expect(line.unreadCount == 0)
      try await client.fence()
    }
  }

  /// A message that is taken and given back, again and again, would be a large answer to a small request.
  @Test func `one message got again and again in one read does not fill the memory`() async throws {
    try await Depth.memory.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await Self.fill("q", 1, client)
      var octets: [UInt8] = []
      for tag in 1...1000 as ClosedRange<UInt64> {
        octets += Octets.method(BasicGet { $0.queue = "q" })
        octets += Octets.method(
          BasicReject {
            $0.deliveryTag = tag
            $0.requeue = true
          })
      }
      try await client.send(octets: octets)
      #expect(try Self.outbound(client).outbound.count < Self.bound + 2 * Self.bodySize)
      for _ in 0..<1000 { #expect(try await client.nextGot() != nil) }
      try await client.fence()
      #expect(try await house.census("q") == Census(ready: 1))
    }
  }

  @Test func `a peer that is not read is not taken for dead`() async throws {
    try await Depth.memory.play { house in
      let slow = try await house.client(TestClient.Options { $0.heartbeatSeconds = 10 })
      let publisher = try await house.client()
      try await slow.declareQueue("q")
      try await slow.consume("q", noAck: true)
      try await Self.fill("q", 100, publisher)
      for _ in 0..<20 {
        try await house.advance(seconds: 5)
        try await slow.send(octets: Octets.frame(8, channel: 0))
      }
      #expect(try await slow.deliveries(100).count == 100)
      try await slow.fence()
    }
  }

  @Test func `a peer whose heartbeats wait unread behind its replies is not taken for dead`() async throws {
    try await Depth.memory.play { house in
      let client = try await house.client(TestClient.Options { $0.heartbeatSeconds = 10 })
      try await client.declareQueue("q")
      try await Self.fill("q", 200, client)
      let get = Octets.method(BasicGet { $0.queue = "q" })
      for _ in 0..<200 { try await client.send(octets: get) }
      #expect(try Self.outbound(client).unreadCount > 0)
      for _ in 0..<20 {
        try await house.advance(seconds: 5)
        try await client.send(octets: Octets.frame(8, channel: 0))
      }
      for number in 0..<200 {
        let got = try await client.nextGot()
        #expect(got.flatMap { Self.number($0.content) } == number)
      }
      try await client.fence()
    }
  }

  @Test func `the queues of a slow peer have turns`() async throws {
    try await Depth.memory.play { house in
      let (slow, publisher) = (try await house.client(channels: [1, 2]), try await house.client())
      for (queue, channel) in [("q", 1), ("r", 2)] as [(ByteString, UInt16)] {
        try await publisher.declareQueue(queue)
        try await slow.consume(queue, tag: queue, noAck: true, on: channel)
      }
      try await Self.fill("q", 200, publisher)
      try await Self.fill("r", 200, publisher)
      // It has never had room for all of one queue, so the other had its turn before the first was empty.
      _ = try await slow.deliveries(1, on: 2)
      #expect((try await house.census("q")?.ready ?? 0) > 50)
      #expect(try await slow.deliveries(199, on: 2).map { Self.number($0.content) } == Array(1..<200))
      #expect(try await slow.deliveries(200, on: 1).map { Self.number($0.content) } == Array(0..<200))
    }
  }

  @Test func `what waits for a peer that vanishes is gone, what it had not got is not`() async throws {
    try await Depth.memory.play { house in
      let (slow, publisher) = (try await house.client(), try await house.client())
      try await publisher.declareQueue("q")
      try await slow.consume("q")
      try await Self.fill("q", 100, publisher)
      await slow.line.close()
      #expect(try await house.census("q") == Census(ready: 100))
    }
  }

  // MARK: over TCP

  @Test(arguments: [true, false])
  func `over TCP a consumer that does not read is given only part, and all when it reads`(
    _ noAck: Bool
  ) async throws {
    try await Depth.tcp.play { house in
      let slow = try await house.client(receiveBuffer: 65_536)
      let publisher = try await house.client()
      try await publisher.declareQueue("q")
      try await slow.consume("q", noAck: noAck)
      let count = 512
      try await Self.fill("q", count, publisher)
      // 32 MiB were published; the system keeps some, on Linux at most 4 MiB to send, and the broker 2.
      let held = try await house.census("q")
      #expect((held?.ready ?? 0) > count / 2, "\(String(describing: held))")
      let deliveries = try await slow.deliveries(count)
      #expect(deliveries.map { Self.number($0.content) } == Array(0..<count))
      if !noAck { try await slow.ack(UInt64(count), multiple: true) }
      try await slow.fence()
      #expect(try await house.census("q") == Census(consumers: 1))
    }
  }

  @Test func `over TCP a peer that does not read its replies gets them all when it does`() async throws {
    try await Depth.tcp.play { house in
      let client = try await house.client(receiveBuffer: 65_536)
      let other = try await house.client()
      try await client.declareQueue("q")
      let count = 512
      try await Self.fill("q", count, client)
      let get = Octets.method(BasicGet { $0.queue = "q" })
      try await client.send(octets: (0..<count).flatMap { _ in get })
      try await house.eventually("some were got") { ($0.census("q")?.ready ?? 0) < count }
      for _ in 0..<100 { try await other.fence() }
      #expect((try await house.census("q")?.ready ?? 0) > count / 2)
      for number in 0..<count {
        let got = try await client.nextGot()
        #expect(got.flatMap { Self.number($0.content) } == number)
      }
      try await client.fence()
    }
  }
}
