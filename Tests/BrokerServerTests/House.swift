/// Where a conversation is played: the broker in this process without a socket, or behind TCP, and in each
/// case what a client sends as it is or an octet at a time. Every conversation has to go the same way at each
/// depth.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Logging
import Testing

@testable import BrokerServer

enum Depth: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case memory = "in memory"
  case memoryByOctet = "in memory, an octet at a time"
  /// What is to be kept is kept, and answers wait until it is.
  case store = "in memory, over a store"
  case tcp = "over TCP"
  case tcpByOctet = "over TCP, an octet at a time"

  static let all = Depth.allCases
  /// Where octets one by one would only take time.
  static let whole: [Depth] = [.memory, .store, .tcp]

  var testDescription: String { rawValue }
  fileprivate var octetsPerWrite: Int? { self == .memoryByOctet || self == .tcpByOctet ? 1 : nil }
  fileprivate var isMemory: Bool { self == .memory || self == .memoryByOctet || self == .store }

  /// Opens a house, plays, and closes it, whatever happens.
  func play(_ settings: Settings = Settings(), _ conversation: (House) async throws -> Void) async throws {
    let house = try await House(self, settings)
    do {
      try await conversation(house)
    } catch {
      try? await house.close()
      throw error
    }
    try await house.close()
  }
}

/// A broker, and the clients that speak with it.
final class House {
  let clock = FakeClock()
  private enum Place {
    case memory(MemoryServer)
    case tcp(Server, port: Int)
  }
  private let place: Place
  private let octetsPerWrite: Int?
  private var clients: [TestClient] = []

  init(_ depth: Depth, _ settings: Settings) async throws {
    let clock = clock
    let build: @Sendable () -> Broker = {
      Broker(settings: settings, clock: clock, logger: .silent)
    }
    octetsPerWrite = depth.octetsPerWrite
    if depth == .store {
      let store = TestStore()
      let broker = try Broker(settings: settings, clock: clock, logger: .silent, store: store)
      place = .memory(MemoryServer(broker, store: store))
    } else if depth.isMemory {
      place = .memory(MemoryServer(build()))
    } else {
      let server = try await Server(build)
      place = .tcp(server, port: try await server.listen(host: "127.0.0.1", port: 0)?.port ?? 0)
    }
  }

  /// A client that has said nothing yet.
  /// - Parameter receiveBuffer: over TCP, what the system keeps for a client that does not read
  func raw(receiveBuffer: Int? = nil) async throws -> TestClient {
    let line: any Line =
      switch place {
      case .memory(let server): server.connect()
      case .tcp(_, let port): try await TCPLine.open(port: port, receiveBuffer: receiveBuffer)
      }
    let client = TestClient(line: line, octetsPerWrite: octetsPerWrite)
    clients.append(client)
    return client
  }

  /// A client that has logged in and opened channels.
  func client(
    _ options: TestClient.Options = .init(), channels: [UInt16] = [1], receiveBuffer: Int? = nil
  ) async throws -> TestClient {
    let client = try await raw(receiveBuffer: receiveBuffer)
    try await client.logIn(options)
    for channel in channels { try await client.openChannel(channel) }
    return client
  }

  func advance(seconds: Double) async throws {
    clock.advance(seconds: seconds)
    switch place {
    case .memory(let server): server.tick()
    case .tcp(let server, _): try await server.tick()
    }
  }

  /// Runs `work` where the broker lives.
  func inBroker<Result: Sendable>(
    _ work: @escaping @Sendable (Broker) throws -> Result
  ) async throws -> Result {
    switch place {
    case .memory(let server): try server.withBroker(work)
    case .tcp(let server, _): try await server.withBroker(work)
    }
  }

  /// Runs `work` with the connections of a user, where the broker lives.
  func inConnections<Result: Sendable>(
    of user: String, _ work: @escaping @Sendable ([ClientConnection]) throws -> Result
  ) async throws -> Result {
    switch place {
    case .memory(let server):
      return try server.withCore { core in
        try work(core.connections.values.filter { $0.identity.name == user })
      }
    case .tcp(let server, _):
      let core = server.core
      return try await server.loop.submit {
        defer { core.value.flush() }
        return try work(core.value.connections.values.filter { $0.identity.name == user })
      }.get()
    }
  }

  /// Looks at the broker until it is as wanted: for what comes without an answer that could be waited for.
  func eventually(_ what: String, _ isSo: @escaping @Sendable (Broker) throws -> Bool) async throws {
    for _ in 0..<200_000 {
      if try await inBroker(isSo) { return }
      await Task.yield()
    }
    Issue.record("not so: \(what)")
  }

  /// The broker serves another client, whatever happened to this one.
  func expectServing() async throws {
    let client = try await client(channels: [9])
    try await client.declareQueue("still-serving", on: 9) { $0.exclusive = true }
    try await client.publish("yes", key: "still-serving", on: 9)
    let got = try await client.get("still-serving", on: 9)
    #expect(got?.content.text == "yes")
    try await client.logOut()
  }

  /// The broker stops while clients are connected; they answer.
  func stop() async throws {
    switch place {
    case .memory(let server): server.stop()
    case .tcp(let server, _): try await server.stop()
    }
  }

  func close() async throws {
    for client in clients { await client.line.close() }
    clients = []
    try await stop()
  }
}

extension Logger {
  static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// How many messages a queue has ready and unsettled, and how many consumers; nil if there is no such queue.
struct Census: Equatable, Sendable {
  var ready = 0
  var unsettled = 0
  var consumers = 0
}

extension Broker {
  func census(_ name: ByteString) -> Census? {
    guard let queue = try? vhosts["/"]?.queue(name) else { return nil }
    return Census(ready: queue.readyCount, unsettled: queue.unsettledCount, consumers: queue.consumerCount)
  }
}

extension House {
  func census(_ queue: ByteString) async throws -> Census? { try await inBroker { $0.census(queue) } }
}
