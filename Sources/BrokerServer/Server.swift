import AMQPWire
import BrokerCore
import Logging
import NIOCore
import NIOPosix

/// The server: the loop on which the broker lives, its listeners, and the clients' connections.
/// This and ConnectionHandler alone know of loops.
package final class Server: Sendable {
  /// Where the broker's state is: entered only on its loop.
  let core: NIOLoopBoundBox<ServerCore>
  let loop: any EventLoop
  private let group: MultiThreadedEventLoopGroup
  private let listeners: NIOLoopBoundBox<[any NIOCore.Channel]>
  /// Where clients came in, while nobody is let in.
  private let suspended: NIOLoopBoundBox<[SocketAddress]>

  /// As below, for a broker without a store.
  package convenience init(_ build: @escaping @Sendable () -> Broker) async throws {
    try await self.init { _ in build() }
  }

  /// Makes the broker on the loop where it will live. It serves nobody until `listen`.
  /// - Throws: what `build` throws
  package init(_ build: @escaping @Sendable (any EventLoop) throws -> Broker) async throws {
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    self.loop = loop
    (core, listeners, suspended) = try await loop.submit {
      (
        NIOLoopBoundBox(ServerCore(broker: try build(loop), loop: loop), eventLoop: loop),
        NIOLoopBoundBox([any NIOCore.Channel](), eventLoop: loop),
        NIOLoopBoundBox([SocketAddress](), eventLoop: loop)
      )
    }.get()
    let core = core
    loop.scheduleRepeatedTask(initialDelay: .milliseconds(500), delay: .milliseconds(500)) { _ in
      core.value.tick()
    }
  }

  /// - Parameter port: 0 lets the system choose
  /// - Returns: the address that is listened on
  /// - Throws: if it cannot be listened on
  @discardableResult
  package func listen(host: String, port: Int) async throws -> SocketAddress? {
    let (core, listeners) = (core, listeners)
    let channel = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelOption(
        .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 4096, maximum: 131_072)
      )
      .childChannelOption(.writeBufferWaterMark, value: .init(low: 262_144, high: 1_048_576))
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(ConnectionHandler(server: core.value))
        }
      }
      .bind(host: host, port: port).get()
    try await loop.submit { listeners.value.append(channel) }.get()
    return channel.localAddress
  }

  /// Where clients of AMQP come in.
  package func listeners() async throws -> [PeerAddress] {
    let listeners = listeners
    return try await loop.submit { listeners.value.map { PeerAddress($0.localAddress) } }.get()
  }

  /// Ends all connections, and lets nobody in.
  package func suspend() async throws {
    let (core, listeners, suspended) = (core, listeners, suspended)
    let all = try await loop.submit {
      defer { listeners.value = [] }
      suspended.value += listeners.value.compactMap(\.localAddress)
      return listeners.value
    }.get()
    for listener in all { try? await listener.close() }
    try await loop.submit { core.value.closeAll() }.get()
  }

  /// Lets clients in again, where they came in.
  /// - Throws: if it cannot be listened there any more
  package func resume() async throws {
    let suspended = suspended
    let places = try await loop.submit {
      defer { suspended.value = [] }
      return suspended.value
    }.get()
    for place in places { try await listen(host: place.ipAddress ?? "", port: place.port ?? 0) }
  }

  /// Runs `work` where the broker lives, between two read batches.
  @discardableResult
  package func withBroker<Result: Sendable>(
    _ work: @escaping @Sendable (Broker) throws -> Result
  ) async throws -> Result {
    let core = core
    return try await loop.submit {
      defer { core.value.flush() }
      return try work(core.value.broker)
    }.get()
  }

  /// Asks the same chain as AMQP logins do.
  /// - Returns: nil if nobody knows the user, or somebody refuses it
  package func logIn(user: String, password: String, from peer: PeerAddress) async throws -> Identity? {
    let (core, loop) = (core, loop)
    return try await loop.flatSubmit {
      let promise = loop.makePromise(of: Identity?.self)
      let request = LoginRequest(
        mechanism: "PLAIN", user: ByteString(user), password: ByteString(password), response: "", peer: peer,
        clientProperties: [:])
      func decided(_ answer: LoginAnswer) {
        if case .allowed(let identity) = answer { promise.succeed(identity) } else { promise.succeed(nil) }
      }
      switch core.value.broker.hooks.authenticate(request) {
      case .now(let answer): decided(answer)
      case .later(let pending): pending.whenAnswered(decided)
      }
      return promise.futureResult
    }.get()
  }

  /// Where the broker lives.
  package var eventLoop: any EventLoop { loop }

  /// Makes something that stands beside the broker on its loop. It gets what to call when it has worked by
  /// itself, so that connections send what they have to send.
  package func beside<Thing>(
    _ make: @escaping @Sendable (Broker, _ flush: @escaping () -> Void) -> Thing
  ) async throws -> NIOLoopBound<Thing> {
    let (core, loop) = (core, loop)
    return try await loop.submit {
      NIOLoopBound(make(core.value.broker) { core.value.flush() }, eventLoop: loop)
    }.get()
  }

  /// Looks at all deadlines now: tests that move a fake clock call it.
  package func tick() async throws {
    let core = core
    try await loop.submit { core.value.tick() }.get()
  }

  /// Stops in order: no new connections, each client is told, what is to be kept is safe, then the loop ends.
  package func stop() async throws {
    let (core, listeners) = (core, listeners)
    for listener in try await loop.submit({ listeners.value }).get() { try? await listener.close() }
    try await loop.submit { core.value.closeAll() }.get()
    for _ in 0..<20 {
      if try await loop.submit({ core.value.isEmpty }).get() { break }
      try await loop.scheduleTask(in: .milliseconds(50)) {}.futureResult.get()
    }
    try await loop.submit { core.value.broker.endDeliveries() }.get()
    // What comes back when its connection ends is written too. A store that takes longer has no room.
    for _ in 0..<1000 {
      if try await loop.submit({ core.value.journalIsIdle }).get() { break }
      try await loop.scheduleTask(in: .milliseconds(10)) {}.futureResult.get()
    }
    try await loop.submit { core.value.broker.journal?.close() }.get()
    try await group.shutdownGracefully()
  }
}

/// The broker and its connections, on the loop.
final class ServerCore {
  let broker: Broker
  private(set) var connections: [ConnectionID: ClientConnection] = [:]
  /// Connections whose outbox has something to send.
  private var touched: [ClientConnection] = []
  private let loop: (any EventLoop)?
  private var timer: Scheduled<Void>?
  private var hasNextTurn = false

  /// - Parameter loop: where the core lives; without one, whoever made it calls `tick`
  init(broker: Broker, loop: (any EventLoop)?) {
    self.broker = broker
    self.loop = loop
    broker.deadlines.onEarlier = { [unowned self] in setTimer() }
    broker.journal?.onProgress = { [unowned self] in flush() }
    broker.onAlarm = { [unowned self] in alarmChanged() }
    broker.onGone = { [unowned self] gone in
      for connection in connections.values { connection.closeBecause(gone) }
    }
  }

  private func alarmChanged() {
    guard broker.alarm == nil else { return }
    for connection in connections.values { connection.unblock() }
  }

  var isEmpty: Bool { connections.isEmpty }

  /// Nothing is on its way into the store.
  var journalIsIdle: Bool {
    flush()
    return broker.journal?.isIdle ?? true
  }

  func add(_ connection: ClientConnection) {
    connections[connection.id] = connection
  }

  /// The connection has something to send: it is flushed with this read batch.
  func touch(_ connection: ClientConnection) { touched.append(connection) }

  func remove(_ connection: ClientConnection) { connections[connection.id] = nil }

  /// What the broker publishes itself, then one flush for each connection that has something to send, and what is to
  /// be kept goes to the store: after each read batch.
  // hot:
  func flush() {
    if !broker.later.isEmpty { runLater() }
    repeat {
      while !touched.isEmpty {
        let batch = touched
        touched.removeAll(keepingCapacity: true)
        for connection in batch { connection.flush() }
      }
    } while broker.journal?.turnEnded() ?? false
  }

  private func runLater() {
    broker.runLater()
    if !broker.later.isEmpty { takeAnotherTurn() }
  }

  private func takeAnotherTurn() {
    guard let loop, !hasNextTurn else { return }
    hasNextTurn = true
    let bound = NIOLoopBound(self, eventLoop: loop)
    loop.execute {
      bound.value.hasNextTurn = false
      bound.value.flush()
    }
  }

  // MARK: time

  private func setTimer() {
    guard let loop, let next = broker.deadlines.next else { return }
    timer?.cancel()
    let now = broker.clock.nanoseconds
    let delay = Int64(clamping: next > now ? next - now : 0)
    let bound = NIOLoopBound(self, eventLoop: loop)
    timer = loop.scheduleTask(in: .nanoseconds(delay)) { bound.value.timerFired() }
  }

  private func timerFired() {
    timer = nil
    broker.deadlines.runDue()
    setTimer()
    flush()
  }

  func tick() {
    broker.deadlines.runDue()
    let now = broker.clock.nanoseconds
    for connection in connections.values { connection.tick(now: now) }
    flush()
  }

  func closeAll() {
    for connection in connections.values { connection.brokerStops() }
    flush()
  }
}
