/// The HTTP listener: the API and the metrics, on threads of their own. Knows no socket of AMQP, and of the
/// broker only what `PluginControl` tells.

package import BrokerCore
package import BrokerScripting
package import BrokerServer
internal import Hummingbird
internal import HummingbirdCore
package import Logging
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import Synchronization

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
  private let running = Mutex<Running?>(nil)

  package init(
    control: any PluginControl, server: BrokerServer.Server?, version: String, logger: Logger,
    authenticate: @escaping Authenticate
  ) {
    let plugins = PluginRoutes(control: control)
    let metrics = MetricsRoute(control: control, version: version, logger: logger)
    responder = ManagementResponder(
      routes: plugins.routes + metrics.routes + (server.map { Self.routes(of: $0, version) } ?? []), authenticate: authenticate, logger: logger)
    // Hummingbird's own lines about its start are said by who starts us.
    var quiet = logger
    quiet.logLevel = max(logger.logLevel, .warning)
    self.logger = quiet
  }

  /// RabbitMQ's own paths.
  private static func routes(of server: BrokerServer.Server, _ version: String) -> [Route] {
    let desk = Desk(server: server)
    return UserRoutes(desk: desk).routes + PermissionRoutes(desk: desk).routes
      + VirtualHostRoutes(desk: desk).routes + PolicyRoutes(desk: desk).routes
      + ExchangeRoutes(desk: desk).routes + QueueRoutes(desk: desk).routes + BindingRoutes(desk: desk).routes
      + ConnectionRoutes(desk: desk).routes + DefinitionRoutes(desk: desk).routes
      + NodeRoutes(desk: desk, version: version).routes
  }

  /// - Parameter port: 0 lets the system choose
  /// - Returns: the port that is listened on
  /// - Throws: if it cannot be listened on, or is running already
  package func start(host: String, port: Int) async throws -> Int {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let (ports, continuation) = AsyncThrowingStream.makeStream(of: Int.self)
    let application = application(host: host, port: port, on: group) { continuation.yield($0) }
    let services = ServiceGroup(configuration: .init(services: [application], logger: logger))
    let task = Task {
      do {
        try await services.run()
        continuation.finish(throwing: CancellationError())
      } catch { continuation.finish(throwing: error) }
    }
    let isOnly = running.withLock { running in
      guard running == nil else { return false }
      running = Running(services: services, application: task, group: group)
      return true
    }
    guard isOnly else {
      await Self.end(Running(services: services, application: task, group: group))
      throw ManagementError.isRunning
    }
    do {
      for try await port in ports { return port }
      throw CancellationError()
    } catch {
      await stop()
      throw error
    }
  }

  /// Ends the listener, and its connections when their requests are answered, or after two seconds.
  package func stop() async {
    let ended = running.withLock { running in
      defer { running = nil }
      return running
    }
    if let ended { await Self.end(ended) }
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
    host: String = "127.0.0.1", port: Int = 0, on group: any EventLoopGroup,
    running: @escaping @Sendable (Int) -> Void = { _ in }
  ) -> Application<ManagementResponder> {
    let bounds = ManagementBounds.self
    return Application(
      responder: responder,
      server: .http1(
        configuration: .init(
          idleTimeout: .seconds(bounds.idleSeconds),
          httpDecoderConfiguration: .init(
            maxHeaderFieldSize: bounds.headerOctets, maxHeaderListSize: bounds.headersOctets,
            maxHeaderFieldCount: bounds.headers))),
      configuration: ApplicationConfiguration(
        address: .hostname(host, port: port),
        availableConnectionsDelegate: MaximumAvailableConnections(bounds.connections, logger: logger)),
      onServerRunning: { channel in running(channel.localAddress?.port ?? port) },
      eventLoopGroupProvider: .shared(group),
      logger: logger)
  }
}

package enum ManagementError: Error { case isRunning }

/// What a client may ask us to hold.
enum ManagementBounds {
  static let connections = 256
  static let idleSeconds: Int64 = 60
  static let headerOctets = 16 << 10
  static let headersOctets = 64 << 10
  static let headers = 100
  static let bodyOctets = 1 << 20
  /// Of names in AMQP (short strings), users' names too.
  static let nameOctets = 255
  static let jsonNesting = 32
}
