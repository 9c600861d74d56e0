/// Heartbeats, with a clock that is moved by hand.
import AMQPWire
import BrokerTestKit
import Testing

@Suite struct HeartbeatTests {
  private static let tenSeconds = TestClient.Options { $0.heartbeatSeconds = 10 }

  private static func heartbeats(_ client: TestClient) -> Int {
    client.transcript.count { $0 == "heartbeat" }
  }

  @Test(arguments: Depth.all)
  func `the broker sends one when it has been silent for half the time`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client(Self.tenSeconds)
      for (seconds, count) in [(4.9, 0), (0.2, 1), (4.8, 1), (0.3, 2)] {
        try await house.advance(seconds: seconds)
        try await client.send(octets: Octets.frame(8, channel: 0))
        if count > Self.heartbeats(client) {
          try await client.next("a heartbeat") { arrival in if case .heartbeat = arrival { () } else { nil } }
        }
        #expect(Self.heartbeats(client) == count, "after \(seconds) s more")
      }
      // More would have come before the answer.
      try await client.fence()
      #expect(Self.heartbeats(client) == 2)
    }
  }

  @Test(arguments: Depth.whole)
  func `a broker that has sent something else need not`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client(Self.tenSeconds)
      for _ in 0..<10 {
        try await house.advance(seconds: 4)
        try await client.fence()
      }
      #expect(Self.heartbeats(client) == 0)
    }
  }

  @Test(arguments: Depth.all)
  func `a client that is silent for twice the time is cut off`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client(Self.tenSeconds)
      let other = try await house.client()
      try await client.declareQueue("q") { $0.exclusive = true }
      try await house.advance(seconds: 19.9)
      #expect(try await house.census("q") != nil)
      try await house.advance(seconds: 0.2)
      try await client.end()
      try await house.eventually("its queue goes too") { $0.census("q") == nil }
      try await other.fence()
    }
  }

  /// In memory only: over TCP nobody says when an octet has come.
  @Test(arguments: [Depth.memory])
  func `any octet of the client's counts`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client(Self.tenSeconds)
      let method = Octets.method(ChannelFlow { $0.active = true })
      for octet in method {
        try await house.advance(seconds: 15)
        try await client.send(octets: [octet])
      }
      _ = try await client.next(ChannelFlowOk.self)
    }
  }

  @Test(arguments: Depth.whole)
  func `without heartbeats nobody is cut off and none is sent`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      for _ in 0..<20 { try await house.advance(seconds: 10_000) }
      try await client.fence()
      #expect(Self.heartbeats(client) == 0)
    }
  }
}
