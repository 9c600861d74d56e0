import BrokerCore
import Logging
import NIOCore
import NIOPosix

/// The server: the loop on which the broker lives, the listener, and the clients' connections.
/// This and ConnectionHandler alone know of loops.
package final class Server: Sendable {
  /// Where the broker's state is: entered only on its loop.
  private let core: NIOLoopBoundBox<ServerCore>
  private let loop: any EventLoop
  private let group: MultiThreadedEventLoopGroup
  private let listener: any NIOCore.Channel

  /// Builds the broker and moves it into its loop, then listens.
  /// - Parameters:
  ///   - port: 0 lets the system choose
  ///   - build: makes the broker; what it makes must not be kept elsewhere
  /// - Throws: if the address cannot be listened on
  package static func start(
    host: String, port: Int, build: @escaping @Sendable () -> Broker
  ) async throws -> Server {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    let core = try await loop.submit {
      NIOLoopBoundBox(ServerCore(broker: build()), eventLoop: loop)
    }.get()
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelOption(
        .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 4096, maximum: 131_072))
      .childChannelOption(.writeBufferWaterMark, value: .init(low: 262_144, high: 1_048_576))
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(ConnectionHandler(server: core.value))
        }
      }
    do {
      let listener = try await bootstrap.bind(host: host, port: port).get()
      let server = Server(core: core, loop: loop, group: group, listener: listener)
      loop.scheduleRepeatedTask(initialDelay: .milliseconds(500), delay: .milliseconds(500)) { _ in
        core.value.tick()
      }
      return server
    } catch {
      try? await group.shutdownGracefully()
      throw error
    }
  }

  private init(
    core: NIOLoopBoundBox<ServerCore>, loop: any EventLoop, group: MultiThreadedEventLoopGroup,
    listener: any NIOCore.Channel
  ) {
    self.core = core
    self.loop = loop
    self.group = group
    self.listener = listener
  }

  package var address: SocketAddress? { listener.localAddress }
  package var port: Int { listener.localAddress?.port ?? 0 }

  /// Runs `work` where the broker lives, between two read batches.
  package func withBroker<Result: Sendable>(
    _ work: @escaping @Sendable (Broker) throws -> Result
  ) async throws -> Result {
    let core = core
    return try await loop.submit {
      defer { core.value.flush() }
      return try work(core.value.broker)
    }.get()
  }

  /// Looks at all deadlines now: tests that move a fake clock call it.
  package func tick() async throws {
    let core = core
    try await loop.submit { core.value.tick() }.get()
  }

  /// Stops in order: no new connections, each client is told, then the loop ends.
  package func stop() async throws {
    try? await listener.close()
    let core = core
    try await loop.submit { core.value.closeAll() }.get()
    for _ in 0..<20 {
      if try await loop.submit({ core.value.isEmpty }).get() { break }
      try await loop.scheduleTask(in: .milliseconds(50)) {}.futureResult.get()
    }
    try await group.shutdownGracefully()
  }
}

/// The broker and its connections, on the loop.
final class ServerCore {
  let broker: Broker
  private var connections: [ConnectionID: ClientConnection] = [:]
  /// Connections whose outbox has something to send.
  private var touched: [ClientConnection] = []

  init(broker: Broker) { self.broker = broker }

  var isEmpty: Bool { connections.isEmpty }

  func add(_ connection: ClientConnection) {
    connections[connection.id] = connection
    connection.onWork = { [weak self, weak connection] in
      guard let self, let connection else { return }
      self.touched.append(connection)
    }
  }

  func remove(_ connection: ClientConnection) { connections[connection.id] = nil }

  /// One flush for each connection that has something to send: after each read batch.
  // hot:
  func flush() {
    while !touched.isEmpty {
      let batch = touched
      touched.removeAll(keepingCapacity: true)
      for connection in batch { connection.flush() }
    }
  }

  func tick() {
    let now = broker.clock.nanoseconds
    for connection in connections.values { connection.tick(now: now) }
    flush()
  }

  func closeAll() {
    for connection in connections.values { connection.brokerStops() }
    flush()
  }
}
