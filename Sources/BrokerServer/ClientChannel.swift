import AMQPWire
import BrokerCore

/// A channel of a connection: puts methods and contents together, and calls what they mean. What a class of
/// methods means is said in its file below Methods.
///
///     starting ──open──> open ──our close──> closing ──close-ok──> gone
///                          └──client's close, close-ok────────────┘
final class ClientChannel {
  enum State {
    case starting
    case open
    /// We sent `channel.close`; everything but its answer is ignored (1.5.2.5).
    case closing
  }

  /// Which frame has to come next (4.2.6): contents of a channel do not mix with its methods.
  enum Expecting {
    case method
    case header
    case body
  }

  let number: UInt16
  unowned let connection: ClientConnection
  let vhost: VirtualHost
  let outbox: Outbox
  /// Nil where nothing is kept.
  let journal: Journal?
  let frameMaximum: Int
  private let bodyMaximum: Int
  private(set) var state = State.starting
  private var expecting = Expecting.method
  private var assembling: Message?
  /// A body so large that no memory is set aside for it before it comes.
  private var gathering: LargeContent?
  /// A whole message whose publisher's permission is not known yet.
  private var waiting: Message?
  /// The method at hand, named in a close.
  private var current = MethodID(0, 0)

  var publishing: Publishing
  var confirms: Confirms?
  var transaction: Transaction?

  let deliveries = Deliveries()
  var deliveryTimes = DeliveryTimes()
  private var isEndNoted = false
  var consumers: [ByteString: Consumer] = [:]
  /// Which of them is served first when all may be.
  private var turn = 0
  /// `basic.qos` without global: the limit of consumers made from now on.
  var prefetch = 0
  /// Where replies to this channel's requests come in.
  var replyQueue: Queue?
  /// The name of a queue that is declared without one, as long as nobody has said whether it may be.
  var generatedName: ByteString?
  /// Routing keys of the message at hand that its publisher may use.
  var permittedKeys = 0
  /// Methods that name no queue mean the one that was declared last (1.7).
  var lastQueue: ByteString = ""

  init(number: UInt16, connection: ClientConnection, vhost: VirtualHost) {
    self.number = number
    self.connection = connection
    self.vhost = vhost
    outbox = connection.outbox
    journal = connection.broker.journal
    frameMaximum = Int(connection.handshake.frameMaximum)
    bodyMaximum = connection.broker.settings.bodyMaximum
    publishing = Publishing()
  }

  func send(_ method: some Method) { outbox.send(method, channel: number) }

  /// Answers when what was defined until now is safe.
  func sendWhenDefined(_ method: some Method) { whenDefined { $0.send(method) } }

  /// Looks at nothing more until what was defined until now is safe.
  func whenDefined(_ body: @escaping (ClientChannel) -> Void) {
    guard let journal, journal.hasOpenDefinitions else { return body(self) }
    connection.wait {
      journal.whenDefined($0)
    } then: { [weak self] in
      if let self { body(self) }
    }
  }

  // MARK: frames

  // hot:
  func receive(_ type: FrameType, _ payload: UnsafeRawBufferPointer) {
    guard state != .closing else { return closingFrameReceived(type, payload) }
    do throws(ProtocolError) {
      switch type {
      case .method: try methodFrameReceived(payload)
      case .header: try headerReceived(payload)
      case .body: try bodyReceived(payload)
      case .heartbeat: break
      }
    } catch {
      guard !connection.hasToWait else { return }
      fail(error)
    }
  }

  // hot:
  private func methodFrameReceived(_ payload: UnsafeRawBufferPointer) throws(ProtocolError) {
    guard expecting == .method else { throw unexpectedFrame() }
    guard payload.count >= 4 else {
      current = MethodID(0, 0)
      throw ProtocolError(.frameError, "method frame of \(payload.count) octets, expected at least 4")
    }
    current = MethodID(payload)
    let arguments = UnsafeRawBufferPointer(rebasing: payload[4...])
    guard state == .open else { return try startingMethodReceived(arguments) }
    switch current {
    case BasicPublish.id:
      try publishing.methodReceived(arguments)
      expecting = .header
    case BasicAck.id: try ack(arguments)
    default: try methodReceived(current, arguments)
    }
  }

  private func startingMethodReceived(_ arguments: UnsafeRawBufferPointer) throws(ProtocolError) {
    guard current == ChannelOpen.id else {
      guard Methods.isKnown(current) else {
        throw ProtocolError(.commandInvalid, "unknown method \(current)")
      }
      throw ProtocolError(.channelError, "expected 'channel.open'")
    }
    _ = try ChannelOpen(arguments: arguments)
    state = .open
    send(ChannelOpenOk())
    connection.broker.note("channel.created", facts)
  }

  // hot:
  private func headerReceived(_ payload: UnsafeRawBufferPointer) throws(ProtocolError) {
    guard let header = ContentHeader(payload) else {
      current = MethodID(0, 0)
      throw ProtocolError(
        .frameError,
        "content header of \(payload.count) octets, expected at least \(WireLimits.contentHeaderSize)")
    }
    guard expecting == .header, header.weight == 0 else { throw unexpectedFrame() }
    guard header.classID == BasicPublish.id.classID else {
      throw ProtocolError(
        .unexpectedFrame,
        "expected content header for class \(BasicPublish.id.classID), got one for class \(header.classID) "
          + "instead")
    }
    guard header.bodySize <= WireLimits.bodyAnnounced else {
      throw ProtocolError(
        .frameError,
        "content body size \(header.bodySize) exceeds maximum allowed size \(WireLimits.bodyAnnounced)")
    }
    guard !publishing.immediate else { throw ProtocolError(.notImplemented, "immediate=true") }
    guard header.bodySize <= UInt64(bodyMaximum) else {
      throw ProtocolError(
        .preconditionFailed,
        "message size \(header.bodySize) is larger than "
          + (bodyMaximum == Settings.standardBodyMaximum ? "" : "configured ") + "max size \(bodyMaximum)")
    }
    let properties = UnsafeRawBufferPointer(rebasing: payload[WireLimits.contentHeaderSize...])
    let index = try PropertyIndex(properties)
    if header.bodySize > LargeContent.from {
      expecting = .body
      gathering = LargeContent(
        properties: ByteString(properties), index: index, bodySize: Int(header.bodySize))
      return
    }
    let message = Message.make(
      envelope: publishing.envelope, properties: properties, index: index, bodySize: Int(header.bodySize))
    if header.bodySize == 0 {
      expecting = .method
      try publishOrWait(message)
    } else {
      expecting = .body
      assembling = message
    }
  }

  // hot:
  private func bodyReceived(_ payload: UnsafeRawBufferPointer) throws(ProtocolError) {
    if gathering != nil { return try gather(payload) }
    guard expecting == .body, let message = assembling else { throw unexpectedFrame() }
    guard message.appendBody(payload) else {
      throw ProtocolError(.frameError, "content body frame exceeds remaining content size")
    }
    guard message.isComplete else { return }
    expecting = .method
    assembling = nil
    try publishOrWait(message)
  }

  private func gather(_ payload: UnsafeRawBufferPointer) throws(ProtocolError) {
    guard expecting == .body, let fits = gathering?.append(payload) else { throw unexpectedFrame() }
    guard fits else {
      throw ProtocolError(.frameError, "content body frame exceeds remaining content size")
    }
    guard let message = gathering?.complete(envelope: publishing.envelope) else { return }
    expecting = .method
    gathering = nil
    try publishOrWait(message)
  }

  // hot:
  @inline(__always)
  private func publishOrWait(_ message: Message) throws(ProtocolError) {
    do throws(ProtocolError) {
      try publish(message)
    } catch {
      if connection.hasToWait {
        waiting = message
        connection.willPublishAgain(on: self)
      }
      throw error
    }
  }

  /// The message that had to wait: nothing has come on this channel since.
  func publishAgain() {
    guard let message = waiting else { return }
    waiting = nil
    do throws(ProtocolError) {
      if state == .open { try publishOrWait(message) }
    } catch {
      guard !connection.hasToWait else { return }
      fail(error)
    }
    permittedKeys = 0
  }

  private func unexpectedFrame() -> ProtocolError {
    if expecting == .method { current = MethodID(0, 0) }
    let text =
      switch expecting {
      case .method: "expected method frame, got non method frame instead"
      case .header:
        "expected content header for class \(current.classID), got non content header frame instead"
      case .body: "expected content body, got non content body frame instead"
      }
    return ProtocolError(.unexpectedFrame, text)
  }

  // MARK: methods

  private func methodReceived(_ id: MethodID, _ arguments: UnsafeRawBufferPointer) throws(ProtocolError) {
    switch id {
    case ExchangeDeclare.id: try declare(try ExchangeDeclare(arguments: arguments))
    case ExchangeDelete.id: try delete(try ExchangeDelete(arguments: arguments))
    case ExchangeBind.id: try bind(try ExchangeBind(arguments: arguments))
    case ExchangeUnbind.id: try unbind(try ExchangeUnbind(arguments: arguments))
    case QueueDeclare.id: try declare(try QueueDeclare(arguments: arguments))
    case QueueDelete.id: try delete(try QueueDelete(arguments: arguments))
    case QueueBind.id: try bind(try QueueBind(arguments: arguments))
    case QueueUnbind.id: try unbind(try QueueUnbind(arguments: arguments))
    case QueuePurge.id: try purge(try QueuePurge(arguments: arguments))
    case BasicQos.id: try qos(try BasicQos(arguments: arguments))
    case BasicConsume.id: try consume(try BasicConsume(arguments: arguments))
    case BasicCancel.id: try cancel(try BasicCancel(arguments: arguments))
    case BasicCancelOk.id: cancelOk(try BasicCancelOk(arguments: arguments))
    case BasicGet.id: try get(try BasicGet(arguments: arguments))
    case BasicNack.id: try nack(try BasicNack(arguments: arguments))
    case BasicReject.id: try reject(try BasicReject(arguments: arguments))
    case BasicRecover.id: try recover(try BasicRecover(arguments: arguments))
    case BasicRecoverAsync.id: try recover(try BasicRecoverAsync(arguments: arguments))
    case ConfirmSelect.id: try select(try ConfirmSelect(arguments: arguments))
    case TxSelect.id: try select(try TxSelect(arguments: arguments))
    case TxCommit.id: try commit(try TxCommit(arguments: arguments))
    case TxRollback.id: try rollback(try TxRollback(arguments: arguments))
    case ChannelOpen.id: throw ProtocolError(.channelError, "second 'channel.open' seen")
    case ChannelClose.id:
      _ = try ChannelClose(arguments: arguments)
      sendConfirms()
      release()
      connection.forget(self)
      send(ChannelCloseOk())
    case ChannelFlow.id:
      guard try ChannelFlow(arguments: arguments).active else {
        throw ProtocolError(.notImplemented, "active=false")
      }
      send(ChannelFlowOk { $0.active = true })
    case AccessRequest.id:
      _ = try AccessRequest(arguments: arguments)
      send(AccessRequestOk { $0.ticket = 1 })
    default:
      throw ProtocolError(
        .commandInvalid, Methods.isKnown(id) ? "unimplemented method" : "unknown method \(id)")
    }
  }

  // MARK: the end

  /// Ends for a reason that is no method's.
  func end(_ error: ProtocolError) {
    guard state == .open else { return }
    current = MethodID(0, 0)
    fail(error)
  }

  /// The peer did what it must not: this channel ends, or with a hard error its connection.
  private func fail(_ error: ProtocolError) {
    guard !error.code.closesConnection else { return connection.fail(error, method: current) }
    connection.broker.logger.info("\(connection.peer): channel \(number): \(error.replyText)")
    sendConfirms()
    state = .closing
    assembling = nil
    gathering = nil
    release()
    send(
      ChannelClose {
        $0.replyCode = error.code.rawValue
        $0.replyText = error.replyText
        $0.classID = current.classID
        $0.methodID = current.methodID
      })
  }

  private func closingFrameReceived(_ type: FrameType, _ payload: UnsafeRawBufferPointer) {
    guard type == .method, payload.count >= 4 else { return }
    switch MethodID(payload) {
    case ChannelCloseOk.id: connection.forget(self)
    // Both sides closed at once; each is answered.
    case ChannelClose.id: send(ChannelCloseOk())
    default: break
    }
  }

  private func release() {
    stopConsuming()
    requeueUnsettled()
    noteEnd()
  }

  /// The first time that it is told counts.
  func noteEnd() {
    guard !isEndNoted, state != .starting else { return }
    isEndNoted = true
    connection.broker.note("channel.closed", facts)
  }

  func stopConsuming() {
    let all = consumers.values
    consumers = [:]
    replyQueue = nil
    for consumer in all { consumer.queue.unsubscribe(consumer) }
  }

  func requeueUnsettled() {
    let rolledBack = transaction?.settlements.map(\.delivery) ?? []
    transaction = nil
    deliveries.restore(rolledBack)
    settleAll(.abandoned)
  }

  var consumedQueues: [Queue] { consumers.values.map(\.queue) }

  /// Each time another is the first: where there is room for one message, nobody is left behind.
  func drainQueues() {
    let queues = consumedQueues
    guard !queues.isEmpty else { return }
    turn = (turn + 1) % queues.count
    for queue in queues[turn...] + queues[..<turn] { queue.drain() }
  }
}

/// A content whose body comes in parts: only what has come takes memory, whatever was announced.
private struct LargeContent {
  /// Bodies up to here get their place at once: 1 MiB.
  static let from: UInt64 = 1_048_576

  let properties: ByteString
  let index: PropertyIndex
  let bodySize: Int
  private var body: [UInt8] = []

  init(properties: ByteString, index: PropertyIndex, bodySize: Int) {
    self.properties = properties
    self.index = index
    self.bodySize = bodySize
  }

  /// - Returns: false if it is more than was announced
  mutating func append(_ part: UnsafeRawBufferPointer) -> Bool {
    guard part.count <= bodySize - body.count else { return false }
    body.append(contentsOf: part)
    return true
  }

  /// - Returns: nil until all has come
  func complete(envelope: UnsafeRawBufferPointer) -> Message? {
    guard body.count == bodySize else { return nil }
    let message = properties.withOctets { properties in
      Message.make(envelope: envelope, properties: properties, index: index, bodySize: bodySize)
    }
    return body.withUnsafeBytes { message.appendBody($0) } ? message : nil
  }
}

/// The methods that a frame may name.
enum Methods {
  static func isKnown(_ id: MethodID) -> Bool { known.contains(id) }

  private static let known: Set<MethodID> = Set(MethodID.all.map { $0.id })
}
