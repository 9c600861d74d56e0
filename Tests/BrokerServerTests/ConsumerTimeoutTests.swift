/// Consumers that keep a message for too long, with a clock that is moved by hand.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@testable import BrokerServer

@Suite struct ConsumerTimeoutTests {
  private static var tenSeconds: Settings {
    var settings = Settings()
    settings.consumerTimeoutMilliseconds = 10_000
    return settings
  }

  private static func text(_ milliseconds: Int) -> String {
    "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: "
      + "\(milliseconds) ms. This timeout value can be configured, see consumers doc guide to learn more"
  }

  @Test(arguments: Depth.whole)
  func `a message that is held too long costs its channel, and comes back`(_ depth: Depth) async throws {
    try await depth.play(Self.tenSeconds) { house in
      let client = try await house.client(channels: [1, 2])
      try await client.declareQueue("q")
      try await client.publish("held", key: "q")
      try await client.consume("q")
      _ = try await client.deliveries(1)
      for _ in 1...10 { try await house.advance(seconds: 1) }
      try await client.fence()
      try await house.advance(seconds: 1)
      let closed = try await client.channelError()
      #expect(closed.code == 406 && closed.text == Self.text(10_000))
      #expect(closed.method == MethodID(0, 0))
      #expect(try await client.messageCount("q", on: 2) == 1)
    }
  }

  @Test(arguments: Depth.whole)
  func `who acknowledges in time may go on for ever`(_ depth: Depth) async throws {
    try await depth.play(Self.tenSeconds) { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.consume("q")
      for tag in 1...8 as ClosedRange<UInt64> {
        try await client.publish("\(tag)", key: "q")
        _ = try await client.deliveries(1)
        for _ in 1...5 { try await house.advance(seconds: 1) }
        // There is always one that waits.
        if tag > 1 { try await client.ack(tag - 1) }
        try await client.fence()
      }
    }
  }

  @Test(arguments: Depth.whole)
  func `a queue and a consumer may say otherwise`(_ depth: Depth) async throws {
    try await depth.play(Self.tenSeconds) { house in
      let patient = try await house.client()
      try await patient.declareQueue("q") { $0.arguments = ["x-consumer-timeout": .int32(3_600_000)] }
      for body in ["a", "b"] { try await patient.publish(body, key: "q") }
      let hasty = try await house.client()
      try await patient.call(BasicQos { $0.prefetchCount = 1 }, BasicQosOk.self)
      try await patient.consume("q")
      _ = try await patient.deliveries(1)
      try await hasty.consume("q") { $0.arguments = ["x-consumer-timeout": .int32(2000)] }
      _ = try await hasty.deliveries(1)
      for _ in 1...4 { try await house.advance(seconds: 1) }
      #expect(try await hasty.channelError().text == Self.text(2000))
      for _ in 1...20 { try await house.advance(seconds: 1) }
      try await patient.fence()
    }
  }

  @Test func `without a limit nobody looks at the time`() async throws {
    var settings = Settings()
    settings.consumerTimeoutMilliseconds = 0
    try await Depth.memory.play(settings) { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.publish("held", key: "q")
      #expect(try await client.get("q", noAck: false)?.method.deliveryTag == 1)
      for _ in 1...3 { try await house.advance(seconds: 25) }
      try await client.fence()
    }
  }

  @Test func `times are known within a 32nd, and are few`() {
    var times = DeliveryTimes()
    #expect(times.heldSince(oldest: 1, last: 5, now: 100, spacing: 10) == 100)
    #expect(times.heldSince(oldest: 1, last: 9, now: 105, spacing: 10) == 100)
    #expect(times.heldSince(oldest: 6, last: 9, now: 110, spacing: 10) == 110)
    #expect(times.heldSince(oldest: 9, last: 30, now: 125, spacing: 10) == 110)
    #expect(times.heldSince(oldest: 10, last: 30, now: 130, spacing: 10) == 125)
  }
}
