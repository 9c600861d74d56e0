import AMQPWire
import BrokerCore
import Logging
import NIOCore

/// A client's connection: its handshake, its channels, and its end. Knows of the socket only what
/// `Transport` says; what a channel's methods mean is said in ClientChannel.
///
///     awaitingHeader ──> running ──> closing (our close is sent) ──> closed
///                           └── client's close: close-ok is sent ──────┘
final class ClientConnection {
  enum Phase {
    case awaitingHeader
    /// The handshake included: its own states are in `Handshake`.
    case running
    /// We sent `connection.close`; everything but its answer is ignored (1.4.2.10).
    case closing
    case closed
  }

  let id: ConnectionID
  let broker: Broker
  let outbox: Outbox
  let peer: Peer
  private(set) var handshake: Handshake
  private(set) var phase = Phase.awaitingHeader
  private(set) var vhost: VirtualHost?
  private(set) var identity = Identity.none
  private(set) var access: AccessControl
  private(set) var channels: [UInt16: ClientChannel] = [:]
  /// The channel of the last frame: the next one is mostly for the same.
  private var lastChannel: ClientChannel?
  /// Channels with confirms that are not sent yet.
  private var confirming: [ClientChannel] = []
  /// The beginning of a frame whose end has not come; all that was read, while stalled.
  private var partial: [UInt8] = []
  /// What was read waits until the peer has taken the replies to what came before.
  private var isStalled = false
  var waiting = Waiting()
  var login = Login()
  private var resumeTurn = 0
  /// Messages of one queue before the next has its turn, when a socket takes octets again.
  private static let share = 32
  private var exclusiveQueues: [Queue] = []
  private var exclusiveQueuesBound = 64
  unowned let transport: any Transport
  private let startedAt: UInt64
  private var lastReceivedAt: UInt64
  private var lastSentAt: UInt64
  /// When it was last looked how long messages are held.
  private var timesLookedAt: UInt64 = 0
  /// Milliseconds since 1970.
  let connectedAt: UInt64
  private(set) var receivedOctets: UInt64 = 0
  private(set) var sentOctets: UInt64 = 0
  private var closingSince: UInt64 = 0
  private var lingerSeconds = 0
  /// The first reason is why it ended, whatever follows from that.
  private var endReason: String?
  private var isAnnounced = false
  private unowned let core: ServerCore
  private var hasWork = false

  init(core: ServerCore, peer: Peer, transport: any Transport) {
    self.core = core
    broker = core.broker
    id = broker.nextConnectionID()
    self.peer = peer
    self.transport = transport
    outbox = Outbox(limit: broker.settings.outboxLimit)
    handshake = Handshake(settings: broker.settings)
    access = AccessControl(.none, peer, broker)
    startedAt = broker.clock.nanoseconds
    lastReceivedAt = startedAt
    lastSentAt = startedAt
    connectedAt = broker.clock.wallMilliseconds
    outbox.onFirst = { [unowned self] in noteWork() }
    outbox.onLarge = { [unowned self] in sendOutbox() }
  }

  /// The connection has something to flush.
  private func noteWork() {
    guard !hasWork else { return }
    hasWork = true
    core.touch(self)
  }

  /// False while the peer does not take what it asked for, and while we wait for an answer or are throttled:
  /// then we read no more of what it sends.
  /// What comes after the end is read too, and thrown away: else its end would not be seen.
  var acceptsInput: Bool { phase == .closed || outbox.hasRoomForReplies }

  // MARK: octets in

  /// Cuts `octets` into frames and handles each. What is left over waits for the next call.
  // hot:
  func receive(_ octets: UnsafeRawBufferPointer) {
    guard phase != .closed else { return }
    lastReceivedAt = broker.clock.nanoseconds
    receivedOctets &+= UInt64(octets.count)
    if isStalled { partial.append(contentsOf: octets) } else { process(octets) }
  }

  // hot:
  private func process(_ octets: UnsafeRawBufferPointer) {
    var rest = octets
    if !partial.isEmpty {
      rest = completePartial(with: rest)
      guard !isStalled else { return partial.append(contentsOf: rest) }
    }
    if phase == .awaitingHeader { rest = receiveHeader(rest) }
    while phase != .closed, phase != .awaitingHeader, let header = FrameHeader(rest) {
      guard isAcceptable(header) else { return }
      guard rest.count >= header.length else { break }
      frameReceived(header, UnsafeRawBufferPointer(rebasing: rest[..<header.length]))
      guard outbox.hasRoomForReplies else {
        isStalled = true
        if waiting.undone != .frame { rest = UnsafeRawBufferPointer(rebasing: rest[header.length...]) }
        break
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[header.length...])
    }
    if phase != .closed { partial.append(contentsOf: rest) }
  }

  /// Completes the frame that began in an earlier read, so that the rest can be read in place.
  private func completePartial(with octets: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    var rest = octets
    func move(upTo count: Int) {
      let moved = min(max(0, count - partial.count), rest.count)
      partial.append(contentsOf: rest[..<moved])
      rest = UnsafeRawBufferPointer(rebasing: rest[moved...])
    }
    if phase == .awaitingHeader {
      move(upTo: 8)
      let begun = partial
      partial = []
      let left = begun.withUnsafeBytes { Array(receiveHeader($0)) }
      partial = left
      return rest
    }
    move(upTo: WireLimits.frameHeaderSize)
    guard let header = partial.withUnsafeBytes({ FrameHeader($0) }), isAcceptable(header) else { return rest }
    move(upTo: header.length)
    guard partial.count == header.length else { return rest }
    let frame = partial
    partial.removeAll(keepingCapacity: partial.count <= 65_536)
    frame.withUnsafeBytes { frameReceived(header, $0) }
    if waiting.undone == .frame { partial = frame }
    if !outbox.hasRoomForReplies { isStalled = true }
    return rest
  }

  private func receiveHeader(_ octets: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    switch Handshake.headerReceived(octets) {
    case .incomplete: return octets
    case .accepted:
      phase = .running
      outbox.send(Handshake.start(mechanisms: broker.hooks.saslMechanisms.keys), channel: 0)
      return UnsafeRawBufferPointer(rebasing: octets[8...])
    case .refused:
      // The answer to a header that we do not speak is the one that we do (4.2.2).
      outbox.send(octets: Handshake.header)
      end("protocol header \(Array(octets.prefix(8))) is not AMQP 0-9-1", .orderly)
      return UnsafeRawBufferPointer(rebasing: octets[octets.count...])
    }
  }

  /// The payload alone may have the frame size: clients exceed it by what stands around the payload often
  /// enough for RabbitMQ to let them.
  private func isAcceptable(_ header: FrameHeader) -> Bool {
    guard header.size > Int(handshake.frameMaximum) else { return true }
    fatal(
      ProtocolError(
        .frameError,
        "type \(header.type), channel \(header.channel): frame of \(header.size) octets is larger than "
          + "the negotiated frame_max \(handshake.frameMaximum)"))
    return false
  }

  // hot:
  private func frameReceived(_ header: FrameHeader, _ frame: UnsafeRawBufferPointer) {
    guard frame[frame.count - 1] == WireLimits.frameEnd else {
      return fatal(
        ProtocolError(
          .frameError,
          "type \(header.type), channel \(header.channel): frame ends with octet \(frame[frame.count - 1]), "
            + "expected \(WireLimits.frameEnd)"))
    }
    let payload = UnsafeRawBufferPointer(rebasing: frame[WireLimits.frameHeaderSize..<(frame.count - 1)])
    guard header.channel != 0 else { return connectionFrameReceived(header, payload) }
    guard phase == .running else { return }
    guard handshake.state == .done else { return fail(unexpected(header)) }
    guard let type = FrameType(rawValue: header.type) else { return fail(unknown(header)) }
    guard type != .heartbeat else { return fail(payload.isEmpty ? unexpected(header) : unknown(header)) }
    if let channel = lastChannel, channel.number == header.channel {
      return channel.receive(type, payload)
    }
    if let channel = channels[header.channel] ?? openChannel(header.channel) {
      lastChannel = channel
      channel.receive(type, payload)
    }
  }

  private func unexpected(_ header: FrameHeader) -> ProtocolError {
    ProtocolError(
      .unexpectedFrame,
      "type \(header.type), channel \(header.channel), \(header.size) octets: unexpected frame in connection "
        + "state \(handshake.state.rawValue)")
  }

  private func unknown(_ header: FrameHeader) -> ProtocolError {
    ProtocolError(
      .frameError,
      "type \(header.type), channel \(header.channel), \(header.size) octets: unknown frame type or shape")
  }

  // MARK: channels

  private func openChannel(_ number: UInt16) -> ClientChannel? {
    guard let vhost else { return nil }
    let limit = Int(handshake.channelMaximum)
    guard channels.count < limit else {
      fail(
        ProtocolError(
          .notAllowed,
          "number of channels opened (\(channels.count)) has reached the negotiated channel_max (\(limit))"))
      return nil
    }
    do throws(ProtocolError) {
      try broker.checkChannelLimit(identity.nameOctets)
    } catch {
      fail(error)
      return nil
    }
    let channel = ClientChannel(number: number, connection: self, vhost: vhost)
    channels[number] = channel
    broker.census.channelsChanged(of: identity.nameOctets, by: 1)
    return channel
  }

  func forget(_ channel: ClientChannel) {
    guard channels.removeValue(forKey: channel.number) != nil else { return }
    broker.census.channelsChanged(of: identity.nameOctets, by: -1)
    if lastChannel === channel { lastChannel = nil }
  }

  /// The channel has confirms to send, before the next flush.
  func willConfirm(_ channel: ClientChannel) {
    confirming.append(channel)
    noteWork()
  }

  /// A queue that goes with this connection. Those that went before are forgotten now and then.
  func owns(_ queue: Queue) {
    if exclusiveQueues.count >= exclusiveQueuesBound {
      exclusiveQueues.removeAll(where: \.isDeleted)
      exclusiveQueuesBound = max(64, exclusiveQueues.count * 2)
    }
    exclusiveQueues.append(queue)
  }

  // MARK: methods of the connection

  private func connectionFrameReceived(_ header: FrameHeader, _ payload: UnsafeRawBufferPointer) {
    switch FrameType(rawValue: header.type) {
    case .heartbeat where payload.isEmpty: return
    case .method where payload.count >= 4: break
    case .header, .body:
      if phase == .running { fail(unexpected(header)) }
      return
    default:
      if phase == .running { fail(unknown(header)) }
      return
    }
    let id = MethodID(payload)
    let arguments = UnsafeRawBufferPointer(rebasing: payload[4...])
    do throws(ProtocolError) {
      if phase == .running {
        try methodReceived(id, arguments)
      } else {
        closingMethodReceived(id)
      }
    } catch {
      guard !hasToWait else { return }
      fail(error, method: id)
    }
  }

  private func methodReceived(_ id: MethodID, _ arguments: UnsafeRawBufferPointer) throws(ProtocolError) {
    switch id {
    case ConnectionStartOk.id:
      let method = try ConnectionStartOk(arguments: arguments)
      try handshake.startOkReceived(method)
      try logIn(method)
    case ConnectionSecureOk.id:
      let method = try ConnectionSecureOk(arguments: arguments)
      try handshake.secureOkReceived()
      converse(method.response)
    case ConnectionTuneOk.id:
      try handshake.tuneOkReceived(try ConnectionTuneOk(arguments: arguments))
    case ConnectionOpen.id:
      try open(try ConnectionOpen(arguments: arguments))
    case ConnectionClose.id:
      let method = try ConnectionClose(arguments: arguments)
      for channel in confirming { channel.sendConfirms() }
      outbox.send(ConnectionCloseOk(), channel: 0)
      end("closed by the client: \(method.replyCode) \(method.replyText)", .whenPeerCloses)
    case ConnectionUpdateSecret.id where handshake.state == .done:
      try updateSecret(try ConnectionUpdateSecret(arguments: arguments))
    case ConnectionUpdateSecret.id, ConnectionCloseOk.id, ConnectionStart.id,
      ConnectionSecure.id, ConnectionTune.id, ConnectionOpenOk.id, ConnectionBlocked.id,
      ConnectionUnblocked.id, ConnectionUpdateSecretOk.id:
      throw ProtocolError(
        .channelError, "unexpected method in connection state \(handshake.state.rawValue)")
    default:
      throw Methods.isKnown(id)
        ? ProtocolError(.channelError, "unexpected method in connection state \(handshake.state.rawValue)")
        : ProtocolError(.commandInvalid, "unknown method \(id) on channel 0")
    }
  }

  private func closingMethodReceived(_ id: MethodID) {
    switch id {
    case ConnectionCloseOk.id: end("closed", .orderly)
    // Both sides closed at once; each is answered (1.4.2.10).
    case ConnectionClose.id: outbox.send(ConnectionCloseOk(), channel: 0)
    default: break
    }
  }

  /// The client is who it says it is.
  func accept(_ identity: Identity) {
    self.identity = identity
    access = AccessControl(identity, peer, broker)
    outbox.send(handshake.loginAccepted(), channel: 0)
  }

  private func open(_ method: ConnectionOpen) throws(ProtocolError) {
    guard handshake.state == .awaitingOpen else { return try handshake.openReceived() }
    guard let vhost = broker.vhosts[method.virtualHost] else {
      throw ProtocolError(.notAllowed, "vhost \(method.virtualHost) not found")
    }
    try broker.checkConnectionLimits(vhost, identity.nameOctets)
    try checkAccess(to: vhost)
    try handshake.openReceived()
    self.vhost = vhost
    outbox.send(ConnectionOpenOk(), channel: 0)
    broker.logger.debug("\(peer): user '\(identity.name)' opened vhost '\(vhost.name)'")
    isAnnounced = true
    broker.census.connectionOpened(in: vhost.name, by: identity.nameOctets)
    broker.hooks.happened(.connectionOpened(event(vhost)))
    broker.note("connection.created", facts)
  }

  /// Not the client's doing: its user or virtual host is no more.
  func closeBecause(_ gone: Gone) {
    let isMine =
      switch gone {
      case .user(let name): identity.nameOctets == name
      case .vhost(let name): vhost?.name == name
      }
    guard isMine, phase == .running, handshake.state == .done else { return }
    broker.logger.info("\(peer): closing connection: \(gone.reason)")
    close(ProtocolError(.connectionForced, gone.reason), method: nil)
  }

  private func event(_ vhost: VirtualHost) -> ConnectionEvent {
    ConnectionEvent(
      peer: peer.address, user: identity.name, vhost: vhost.name, clientProperties: handshake.clientProperties
    )
  }

  // MARK: waiting

  /// Looks at nothing more that the peer sends.
  func hold() {
    outbox.isHeld = true
    isStalled = true
  }

  private func abandonWaiting() {
    waiting.abandon()
    outbox.isHeld = false
    login.abandon()
  }

  /// Looks at what has waited, what had to wait first.
  private func goOn() {
    isStalled = false
    waiting.takeContinuation()?()
    guard phase != .closed else { return }
    let held = partial
    partial = []
    held.withUnsafeBytes { octets in
      var rest = octets
      if let again = waiting.undone { rest = redo(again, octets) }
      if outbox.hasRoomForReplies { return process(rest) }
      isStalled = true
      if phase != .closed { partial = Array(rest) }
    }
  }

  /// - Returns: what is left of `octets`
  private func redo(_ what: Waiting.Undone, _ octets: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    waiting.undone = nil
    var rest = octets
    switch what {
    case .publish(let number): channels[number]?.publishAgain()
    case .frame:
      guard let header = FrameHeader(octets), octets.count >= header.length else {
        preconditionFailure("a frame that has to wait is whole")
      }
      frameReceived(header, UnsafeRawBufferPointer(rebasing: octets[..<header.length]))
      if !hasToWait { rest = UnsafeRawBufferPointer(rebasing: octets[header.length...]) }
    }
    if !hasToWait { access.operationIsDone() }
    return rest
  }

  // MARK: the end

  /// The peer broke the protocol: the connection is closed with a code and a text that say how.
  func fail(_ error: ProtocolError, method: MethodID? = nil) {
    guard phase == .running else { return }
    broker.logger.warning("\(peer): closing connection: \(error.replyText)")
    close(error, method: method)
  }

  /// As `fail`, but frames can no longer be told apart, so nothing more is read.
  private func fatal(_ error: ProtocolError) {
    guard phase == .running else { return end(error.text) }
    fail(error)
    end(error.text, .orderly)
  }

  /// Ends the connection with a reason that is ours: a stop of the broker, or an operator's wish.
  func close(_ error: ProtocolError, method: MethodID?) {
    guard phase == .running else { return }
    abandonWaiting()
    endReason = endReason ?? error.replyText.text
    for channel in confirming { channel.sendConfirms() }
    outbox.send(
      ConnectionClose {
        $0.replyCode = error.code.rawValue
        $0.replyText = error.replyText
        $0.classID = method?.classID ?? 0
        $0.methodID = method?.methodID ?? 0
      }, channel: 0)
    phase = .closing
    closingSince = broker.clock.nanoseconds
    release()
  }

  func brokerStops() {
    guard phase == .running, handshake.state == .done else { return end("broker stops") }
    close(
      ProtocolError(.connectionForced, "broker forced connection closure with reason 'shutdown'"), method: nil
    )
  }

  enum Ending {
    /// The peer reads what was sent, and sees that nothing more comes.
    case orderly
    /// It was the client's wish, so the client closes: some take an end that comes with close-ok for a fault.
    case whenPeerCloses
    case atOnce
  }

  /// Nothing more that comes is looked at.
  func end(_ reason: String, _ ending: Ending = .atOnce) {
    guard phase != .closed else { return }
    abandonWaiting()
    phase = .closed
    closingSince = broker.clock.nanoseconds
    lingerSeconds = ending == .whenPeerCloses ? broker.settings.closingSeconds : 1
    release()
    broker.logger.debug("\(peer): \(reason)")
    announceEnd(reason)
    if ending != .whenPeerCloses { transport.finish(orderly: ending == .orderly) }
  }

  /// The socket is gone.
  func disconnected() {
    if phase == .running, handshake.state == .done {
      broker.logger.info("\(peer): client unexpectedly closed TCP connection")
    }
    abandonWaiting()
    phase = .closed
    release()
    announceEnd("client unexpectedly closed TCP connection")
  }

  private func announceEnd(_ reason: String) {
    guard isAnnounced, let vhost else { return }
    isAnnounced = false
    broker.census.connectionClosed(in: vhost.name, by: identity.nameOctets)
    broker.hooks.happened(.connectionClosed(event(vhost), reason: endReason ?? reason))
    broker.note("connection.closed", facts)
  }

  /// Gives back all that the connection held: unsettled messages, consumers, exclusive queues.
  private func release() {
    let all = channels.values.sorted { $0.number < $1.number }
    channels = [:]
    broker.census.channelsChanged(of: identity.nameOctets, by: -all.count)
    lastChannel = nil
    confirming = []
    // While only closing, frames are still told apart: our close is to be answered.
    if phase == .closed { partial = [] }
    for channel in all { channel.stopConsuming() }
    for channel in all {
      channel.requeueUnsettled()
      channel.noteEnd()
    }
    for queue in exclusiveQueues { queue.vhost.remove(queue) }
    exclusiveQueues = []
  }

  // MARK: octets out

  /// Sends what has been put together since the last flush, cumulative confirms first.
  func flush() {
    for channel in confirming { channel.sendConfirms() }
    confirming.removeAll(keepingCapacity: true)
    hasWork = false
    sendOutbox()
    if outbox.takeWasFull() && outbox.isOpen || isStalled && acceptsInput { transport.resumeSoon() }
  }

  private func sendOutbox() {
    guard let buffer = outbox.take() else { return }
    lastSentAt = broker.clock.nanoseconds
    sentOctets &+= UInt64(buffer.readableBytes)
    transport.send(buffer)
    outbox.wasSent()
  }

  /// The socket takes octets again: deliveries go on, a few from each queue in turn, and each time another
  /// queue is the first.
  func resume() {
    outbox.isHeld = waiting.goesOn(now: broker.clock.nanoseconds)
    if isStalled, acceptsInput { goOn() }
    guard phase == .running, outbox.isOpen else { return }
    var waiting = channels.values.sorted { $0.number < $1.number }.flatMap(\.consumedQueues)
    guard !waiting.isEmpty else { return }
    resumeTurn &+= 1
    let first = resumeTurn % waiting.count
    waiting = Array(waiting[first...] + waiting[..<first])
    while outbox.isOpen, !waiting.isEmpty {
      waiting = waiting.filter { outbox.isOpen && $0.drain(atMost: Self.share) }
    }
  }

  // MARK: time

  /// Called a few times a second: handshakes, heartbeats and closings have deadlines.
  func tick(now: UInt64) {
    func seconds(since moment: UInt64) -> Double { Double(now &- min(now, moment)) / 1e9 }
    // What channels remember of their last publish spares them the look at answers that grow old.
    if access.asksAuthorizers {
      for channel in channels.values { channel.publishing.forgetExchange() }
    }
    if now &- timesLookedAt >= 1_000_000_000 {
      timesLookedAt = now
      for channel in channels.values { channel.endIfHeldTooLong(now: now) }
    }
    switch phase {
    case .awaitingHeader, .running:
      guard handshake.state == .done else {
        if seconds(since: startedAt) >= Double(broker.settings.handshakeSeconds) {
          broker.logger.warning("\(peer): handshake not finished in \(broker.settings.handshakeSeconds) s")
          end("handshake timeout")
        }
        return
      }
      let interval = Double(handshake.heartbeatSeconds)
      guard interval > 0 else { return outbox.shrink() }
      // While we do not read, its heartbeats may be waiting unseen: only TCP can tell that it is dead.
      if !acceptsInput { lastReceivedAt = now }
      if seconds(since: lastReceivedAt) >= interval * 2 {
        broker.logger.warning("\(peer): missed heartbeats from client, timeout: \(Int(interval)) s")
        return end("heartbeat timeout")
      }
      if seconds(since: lastSentAt) >= interval / 2 {
        lastSentAt = now
        outbox.sendHeartbeat()
      } else if seconds(since: lastSentAt) > 1 {
        outbox.shrink()
      }
    case .closing:
      if seconds(since: closingSince) >= Double(broker.settings.closingSeconds) { end("no close-ok") }
    case .closed:
      if seconds(since: closingSince) >= Double(lingerSeconds) { transport.finish(orderly: false) }
    }
  }
}

/// What a connection asks of its socket. `ConnectionHandler` is the one that has one; tests have another.
protocol Transport: AnyObject {
  func send(_ buffer: ByteBuffer)
  /// Asks for `ClientConnection.resume` in a later turn of the loop.
  func resumeSoon()
  /// After what was sent: closes at once, or, when orderly, our direction now and the rest when the peer does.
  func finish(orderly: Bool)
}

extension MethodID {
  /// The first four octets of a method frame's payload, which has to have them.
  // hot:
  init(_ payload: UnsafeRawBufferPointer) {
    self.init(
      UInt16(bigEndian: payload.loadUnaligned(as: UInt16.self)),
      UInt16(bigEndian: payload.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
  }
}
