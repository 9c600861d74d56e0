/// The server as a whole: its port, its stop, and what can be done on its loop. Over TCP only.
import AMQPWire
import BrokerCore
import BrokerTestKit
import NIOCore
import Testing

@testable import BrokerServer

@Suite struct ServerTests {
  private static func start() async throws -> (server: Server, port: Int) {
    let server = try await Server { Broker(clock: FakeClock(), logger: .silent) }
    return (server, try await server.listen(host: "127.0.0.1", port: 0)?.port ?? 0)
  }

  private static func client(_ port: Int) async throws -> TestClient {
    TestClient(line: try await TCPLine.open(port: port))
  }

  @Test func `the system chooses a port, and a port in use is refused`() async throws {
    let (server, port) = try await Self.start()
    #expect(port > 0)
    await #expect(throws: (any Error).self) { try await server.listen(host: "127.0.0.1", port: port) }
    let client = try await Self.client(port)
    try await client.logIn()
    try await client.logOut()
    try await server.stop()
  }

  @Test func `one broker serves several ports`() async throws {
    let (server, port) = try await Self.start()
    let second = try await server.listen(host: "127.0.0.1", port: 0)?.port ?? 0
    #expect(second != port)
    let (one, two) = (try await Self.client(port), try await Self.client(second))
    for client in [one, two] {
      try await client.logIn()
      try await client.openChannel()
    }
    try await one.declareQueue("q")
    #expect(try await two.messageCount("q") == 0)
    for client in [one, two] { try await client.logOut() }
    try await server.stop()
  }

  @Test func `a stop tells each client, and they may answer`() async throws {
    let (server, port) = try await Self.start()
    var clients: [TestClient] = []
    for _ in 0..<3 {
      let client = try await Self.client(port)
      try await client.logIn()
      try await client.openChannel()
      clients.append(client)
    }
    try await clients[0].declareQueue("q")
    try await clients[0].consume("q")
    let half = try await Self.client(port)
    try await half.greet()

    async let stopped: Void = server.stop()
    for client in clients {
      let closed = try await client.connectionError()
      #expect(closed.code == 320 && closed.method == MethodID(0, 0))
      #expect(
        closed.text
          == "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'")
      await client.line.close()
    }
    try await half.end()
    try await stopped
    await #expect(throws: (any Error).self) { try await TCPLine.open(port: port) }
  }

  @Test func `a stop does not wait for ever for a client that does not answer`() async throws {
    let (server, port) = try await Self.start()
    let client = try await Self.client(port)
    try await client.logIn()
    try await server.stop()
    #expect(try await client.next(ConnectionClose.self, on: 0).method.replyCode == 320)
    try await client.end()
  }

  @Test func `work on the loop is done between two reads, and what it delivers is sent`() async throws {
    let (server, port) = try await Self.start()
    let client = try await Self.client(port)
    try await client.logIn()
    try await client.openChannel()
    try await client.declareQueue("q")
    try await client.consume("q", noAck: true)
    let ready = try await server.withBroker { broker in
      let queue = try broker.vhosts["/"]?.queue("q")
      queue?.enqueue(.of("from beside", key: "q"))
      return queue?.readyCount
    }
    #expect(ready == 0)
    #expect(try await client.deliveries(1)[0].text == "from beside")
    await #expect(throws: ProtocolError.self) {
      try await server.withBroker { _ = try $0.vhosts["/"]?.queue("none") }
    }
    try await client.logOut()
    try await server.stop()
  }

  @Test func `a hundred clients come and go`() async throws {
    let (server, port) = try await Self.start()
    for round in 0..<4 {
      var clients: [TestClient] = []
      for _ in 0..<25 {
        let client = try await Self.client(port)
        try await client.logIn()
        try await client.openChannel()
        try await client.declareQueue("") { $0.exclusive = true }
        clients.append(client)
      }
      for (number, client) in clients.enumerated() {
        if (number + round) % 2 == 0 { try await client.logOut() } else { await client.line.close() }
      }
    }
    for _ in 0..<200_000 {
      if try await server.withBroker({ $0.vhosts["/"]?.queues.isEmpty ?? false }) { break }
      await Task.yield()
    }
    #expect(try await server.withBroker { $0.vhosts["/"]?.queues.count } == 0)
    try await server.stop()
  }
}
