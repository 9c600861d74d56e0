/// A connection that is not read for a while.
import AMQPWire
import BrokerCore
import BrokerTestKit
import NIOCore
import NIOEmbedded
import Testing

@testable import BrokerServer

@Suite struct ThrottleTests {
  private static func throttle(_ house: House, _ milliseconds: Int64) async throws {
    try await house.inConnections(of: "guest") { connections in
      for connection in connections { connection.throttle(milliseconds: milliseconds) }
    }
  }

  private static func isHeld(_ house: House) async throws -> Bool {
    try await house.inConnections(of: "guest") { $0.contains { !$0.acceptsInput } }
  }

  @Test(arguments: Depth.all)
  func `what comes meanwhile is looked at afterwards, in order`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await Self.throttle(house, 1500)
      try await client.send(octets: Octets.method(QueueDeclare { $0.queue = "q" }))
      for number in 0..<20 { try await client.publish("\(number)", key: "q") }
      try await house.advance(seconds: 1.4)
      #expect(try await Self.isHeld(house))
      #expect(try await house.census("q") == nil)
      try await house.advance(seconds: 0.2)
      _ = try await client.next(QueueDeclareOk.self)
      try await client.consume("q", noAck: true)
      #expect(try await client.deliveries(20).map(\.text) == (0..<20).map { "\($0)" })
    }
  }

  @Test(arguments: Depth.whole)
  func `consumers are served meanwhile, and so is everybody else`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.consume("q", noAck: true)
      try await Self.throttle(house, 1000)
      let other = try await house.client()
      for number in 0..<100 { try await other.publish("\(number)", key: "q") }
      #expect(try await client.deliveries(100).count == 100)
      #expect(try await Self.isHeld(house))
    }
  }

  @Test(arguments: Depth.whole)
  func `a throttled client is not cut off, and hears our heartbeats`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client(TestClient.Options { $0.heartbeatSeconds = 5 })
      try await Self.throttle(house, 50_000)
      for _ in 0..<16 { try await house.advance(seconds: 3) }
      #expect(try await Self.isHeld(house))
      try await house.advance(seconds: 3)
      try await client.fence()
      #expect(client.transcript.contains("heartbeat"))
    }
  }

  @Test(arguments: Depth.whole)
  func `a minute is the most, and none or less is nothing`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      for milliseconds in [0, -1, .min] as [Int64] {
        try await Self.throttle(house, milliseconds)
        #expect(try await !Self.isHeld(house))
        try await client.fence()
      }
      try await Self.throttle(house, .max)
      // A shorter one does not end a longer one.
      try await Self.throttle(house, 5)
      try await house.advance(seconds: 59.9)
      #expect(try await Self.isHeld(house))
      try await house.advance(seconds: 0.2)
      try await client.fence()
      #expect(try await !Self.isHeld(house))
    }
  }

  @Test(arguments: Depth.whole)
  func `a throttled client may vanish over either line`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q") { $0.exclusive = true }
      try await Self.throttle(house, 60_000)
      try await client.send(QueueDeclare { $0.queue = "late" })
      await client.line.close()
      try await house.eventually("its queue goes") { $0.census("q") == nil }
      #expect(try await house.census("late") == nil)
    }
  }

  @Test(arguments: Depth.whole)
  func `who waits and is throttled goes on when both are over`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await house.restrict()
      let client = try await house.client(.user("alice"))
      try await house.inBroker { try $0.oracle().answersLater = true }
      try await client.send(QueueDeclare { $0.queue = "q" })
      try await house.eventually("asked") { try !$0.oracle().pending.isEmpty }
      try await house.inConnections(of: "alice") { $0.first?.throttle(milliseconds: 1000) }
      try await house.oracleAnswers()
      try await house.expectServing()
      #expect(try await house.census("q") == nil)
      try await house.advance(seconds: 1.1)
      _ = try await client.next(QueueDeclareOk.self)
    }
  }

  @Test(arguments: [Depth.memory, .memoryByOctet])
  func `a throttled client may vanish, and the broker may stop`(_ depth: Depth) async throws {
    try await depth.play { house in
      let (client, stopped) = (try await house.client(), try await house.client())
      try await client.declareQueue("q") { $0.exclusive = true }
      try await Self.throttle(house, 60_000)
      await client.line.close()
      try await house.eventually("its queue goes") { $0.census("q") == nil }
      try await house.stop()
      #expect(try await stopped.connectionError().code == 320)
    }
  }

  /// Ticks are half a second apart; nothing but the wake-up ends it so soon.
  @Test func `it ends when it should`() throws {
    let clock = FakeClock()
    let loop = EmbeddedEventLoop()
    let core = ServerCore(broker: Broker(clock: clock, logger: .silent), loop: loop)
    let channel = EmbeddedChannel(handler: ConnectionHandler(server: core), loop: loop)
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    func read() throws -> Int { try channel.readOutbound(as: ByteBuffer.self)?.readableBytes ?? 0 }
    try channel.writeInbound(ByteBuffer(bytes: Octets.protocolHeader))
    #expect(try read() > 0)

    for connection in core.connections.values {
      connection.throttle(milliseconds: 10)
      connection.throttle(milliseconds: 20)
    }
    try channel.writeInbound(
      ByteBuffer(bytes: Octets.method(TestClient.Options().startOk, channel: 0)))
    for milliseconds in [10, 9] {
      clock.advance(nanoseconds: UInt64(milliseconds) * 1_000_000)
      channel.embeddedEventLoop.advanceTime(by: .milliseconds(Int64(milliseconds)))
      #expect(try read() == 0)
    }
    clock.advance(nanoseconds: 1_000_000)
    channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
    #expect(try read() > 0, "connection.tune")
    _ = try channel.finish()
  }
}
