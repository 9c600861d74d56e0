/// The HTTP listener: the API and the metrics, on threads of their own. Knows no socket of AMQP, and of the
/// broker only what `PluginControl` tells.

package import BrokerCore
package import BrokerScripting
package import BrokerServer
internal import Hummingbird
internal import HummingbirdCore
package import Logging
package import LuaRuntime
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import Synchronization

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

package final class Management: Sendable {
  /// Who logged in.
  package struct Login: Sendable {
    package let identity: Identity
    package let peer: PeerAddress
    package var name: String { identity.name }
    package var tags: [String] { identity.tags }

    package init(_ identity: Identity, from peer: PeerAddress) {
      self.identity = identity
      self.peer = peer
    }

    /// Who owns the broker's files.
    static let `operator` = Login(
      Identity(name: "operator", tags: ["administrator"]),
      from: PeerAddress(address: "local", port: 0, isLoopback: true))

    static let nobody = Login(.none, from: PeerAddress(address: "", port: 0, isLoopback: false))
  }

  /// - Returns: nil for whoever may not log in; the reason is for the log only
  package typealias Authenticate =
    @Sendable (_ user: String, _ password: String, _ peerIsLoopback: Bool) async -> Login?

  private struct Running {
    let services: ServiceGroup
    let application: Task<Void, Never>
    let group: MultiThreadedEventLoopGroup
  }

  private let responder: ManagementResponder
  private let logger: Logger
  private let running = Mutex<[Running]>([])

  package init(
    control: any PluginControl, node: Node?, version: String, logger: Logger,
    authenticate: @escaping Authenticate
  ) {
    let plugins = PluginRoutes(control: control)
    let metrics = MetricsRoute(control: control, version: version, logger: logger)
    responder = ManagementResponder(
      routes: plugins.routes + metrics.routes + (node.map { Self.routes(of: $0, version) } ?? []),
      authenticate: authenticate, logger: logger)
    // Hummingbird's own lines about its start are said by who starts us.
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    self.logger = quiet
  }

  /// The broker that is managed.
  package struct Node: Sendable {
    package let server: BrokerServer.Server
    /// The configuration in force, by key.
    package let environment: [String: LuaValue]
    /// Ends the process in order, soon.
    package let stop: @Sendable () -> Void

    package init(
      server: BrokerServer.Server, environment: [String: LuaValue] = [:],
      stop: @escaping @Sendable () -> Void = {}
    ) {
      self.server = server
      self.environment = environment
      self.stop = stop
    }
  }

  /// RabbitMQ's own paths, and those of our command line.
  private static func routes(of node: Node, _ version: String) -> [Route] {
    let desk = Desk(server: node.server)
    return UserRoutes(desk: desk).routes + PermissionRoutes(desk: desk).routes
      + VirtualHostRoutes(desk: desk).routes + PolicyRoutes(desk: desk).routes
      + ExchangeRoutes(desk: desk).routes + QueueRoutes(desk: desk).routes + BindingRoutes(desk: desk).routes
      + ConnectionRoutes(desk: desk).routes + DefinitionRoutes(desk: desk).routes
      + NodeRoutes(desk: desk, version: version).routes
      + LifeRoutes(desk: desk, environment: node.environment, stop: node.stop).routes
  }

  /// - Parameter port: 0 lets the system choose
  /// - Returns: the port that is listened on
  /// - Throws: if it cannot be listened on
  package func start(host: String, port: Int) async throws -> Int {
    try await start(.hostname(host, port: port), responder)
  }

  /// Listens for the operator's own command line, which needs no credentials.
  /// - Parameter path: of a socket that is made, in a folder that is the broker's
  /// - Throws: if it cannot be listened on
  package func startLocal(path: String) async throws {
    // What a broker that was killed has left.
    unlink(path)
    var own = responder
    own.isLocal = true
    // Nobody else may open it, not even before its mode is set.
    let mask = umask(0o177)
    defer { umask(mask) }
    _ = try await start(.unixDomainSocket(path: path), own)
  }

  private func start(_ address: BindAddress, _ responder: ManagementResponder) async throws -> Int {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let (ports, continuation) = AsyncThrowingStream.makeStream(of: Int.self)
    let application = application(responder, at: address, on: group) { continuation.yield($0) }
    let services = ServiceGroup(configuration: .init(services: [application], logger: logger))
    let task = Task {
      do {
        try await services.run()
        continuation.finish(throwing: CancellationError())
      } catch { continuation.finish(throwing: error) }
    }
    let started = Running(services: services, application: task, group: group)
    do {
      for try await port in ports {
        running.withLock { $0.append(started) }
        return port
      }
      throw CancellationError()
    } catch {
      await Self.end(started)
      throw error
    }
  }

  /// Ends the listeners, and their connections when their requests are answered, or after two seconds.
  package func stop() async {
    let ended = running.withLock { running in
      defer { running = [] }
      return running
    }
    for running in ended { await Self.end(running) }
  }

  private static func end(_ running: Running) async {
    await running.services.triggerGracefulShutdown()
    let patience = Task {
      try await Task.sleep(for: .seconds(2))
      running.application.cancel()
    }
    await running.application.value
    patience.cancel()
    try? await running.group.shutdownGracefully()
  }

  func application(
    _ responder: ManagementResponder? = nil, at address: BindAddress = .hostname("127.0.0.1", port: 0),
    on group: any EventLoopGroup, running: @escaping @Sendable (Int) -> Void = { _ in }
  ) -> Application<ManagementResponder> {
    let bounds = ManagementBounds.self
    return Application(
      responder: responder ?? self.responder,
      server: .http1(
        configuration: .init(
          idleTimeout: .seconds(bounds.idleSeconds),
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: bounds.headerOctets, maxHeaderListSize: bounds.headersOctets,
            maxHeaderFieldCount: bounds.headers))),
      configuration: ApplicationConfiguration(
        address: address,
        availableConnectionsDelegate: MaximumAvailableConnections(bounds.connections, logger: logger)),
      onServerRunning: { channel in running(channel.localAddress?.port ?? 0) },
      eventLoopGroupProvider: .shared(group),
      logger: logger)
  }
}

/// What a client may ask us to hold.
enum ManagementBounds {
  static let connections = 256
  static let idleSeconds: Int64 = 60
  static let headerOctets = 16 << 10
  static let headersOctets = 64 << 10
  static let headers = 100
  /// A definitions file is one.
  static let bodyOctets = 20 << 20
  /// Of names in AMQP (short strings), users' names too.
  static let nameOctets = 255
  static let jsonNesting = 32
}
