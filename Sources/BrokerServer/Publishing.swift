import AMQPWire
import BrokerCore

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The path of a publish, from a complete message to its queues. Knows no frame.

/// What a channel remembers of its last publish, so that the next one like it costs little.
struct Publishing {
  /// Exchange and routing key of the publish at hand, as two short strings; also the last one's.
  private let octets = EnvelopeOctets()
  private var count = 0
  private var exchangeCount = 0
  fileprivate private(set) var mandatory = false
  private(set) var immediate = false
  /// The exchange that the envelope names; nil if it has to be looked up.
  fileprivate var exchange: Exchange?
  /// Where the envelope led, if its routing key alone decides and it came twice in a row.
  fileprivate var queues: ContiguousArray<Queue> = []
  fileprivate var queuesAreKnown = false
  fileprivate var isRepeated = false
  /// The publisher may not use every routing key: each is asked about.
  fileprivate var keysAreChecked = false
  /// The virtual host's topology that the above was true for.
  fileprivate var topology: UInt64 = 0

  // hot:
  var envelope: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: octets.start, count: count) }

  fileprivate var exchangeName: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: octets.start + 1, count: exchangeCount)
  }

  /// `basic.publish`: ticket, exchange, routing key, mandatory, immediate.
  // hot:
  mutating func methodReceived(_ arguments: UnsafeRawBufferPointer) throws(ProtocolError) {
    let exchangeStart = 2
    guard arguments.count > exchangeStart else { throw Self.truncated(arguments) }
    let keyStart = exchangeStart + 1 + Int(arguments[exchangeStart])
    guard arguments.count > keyStart else { throw Self.truncated(arguments) }
    let end = keyStart + 1 + Int(arguments[keyStart])
    guard arguments.count == end + 1 else { throw Self.truncated(arguments) }
    mandatory = arguments[end] & 1 != 0
    immediate = arguments[end] & 2 != 0

    let new = UnsafeRawBufferPointer(rebasing: arguments[exchangeStart..<end])
    if new.count == count, let base = new.baseAddress, memcmp(base, octets.start, count) == 0 {
      isRepeated = true
      return
    }
    let sameExchange =
      keyStart - exchangeStart == exchangeCount + 1
      && new.baseAddress.map { memcmp($0, octets.start, exchangeCount + 1) == 0 } ?? false
    try Self.expectText(UnsafeRawBufferPointer(rebasing: arguments[(exchangeStart + 1)..<keyStart]))
    try Self.expectText(UnsafeRawBufferPointer(rebasing: arguments[(keyStart + 1)..<end]))
    if let base = new.baseAddress { octets.start.copyMemory(from: base, byteCount: new.count) }
    count = new.count
    exchangeCount = keyStart - exchangeStart - 1
    if !sameExchange || keysAreChecked { exchange = nil }
    queuesAreKnown = false
    isRepeated = false
  }

  /// The exchange is looked up anew for the next message, and whether it may be published to.
  mutating func forgetExchange() { exchange = nil }

  private static func truncated(_ arguments: UnsafeRawBufferPointer) -> ProtocolError {
    ProtocolError(
      .frameError,
      "cannot decode BasicPublish: \(arguments.count) octets are not ticket, exchange, routing key and bits")
  }

  private static func expectText(_ octets: UnsafeRawBufferPointer) throws(ProtocolError) {
    if octets.allSatisfy({ $0 < 0x80 }) { return }
    guard String(validating: octets, as: UTF8.self) != nil else {
      throw .malformedText
    }
  }
}

/// Memory for two short strings, whose most is known.
private final class EnvelopeOctets {
  let start = UnsafeMutableRawPointer.allocate(byteCount: 512, alignment: 8)
  init() { start.initializeMemory(as: UInt8.self, repeating: 0, count: 512) }
  deinit { start.deallocate() }
}

extension ClientChannel {
  /// A whole message has come: the checks in RabbitMQ's order, but for those of its header, then its route.
  // hot:
  func publish(_ message: Message) throws(ProtocolError) {
    let exchange = try exchangeOfPublish(message)
    var message = message
    if message.header.properties.flags.rawValue & Self.checkedProperties != 0 {
      message = try checked(message, exchange)
    }
    if transaction != nil { return try publishInTransaction(message, to: exchange) }
    confirms?.published += 1
    let before = journal?.lastTicket
    do throws(ProtocolError) {
      switch try enqueue(message, exchange) {
      case .routed: break
      case .unroutable: if publishing.mandatory { sendReturn(message, .noRoute, "NO_ROUTE") }
      case .full: return rejectLast()
      }
      if let journal, journal.lastTicket != before { confirms?.ticket = journal.lastTicket }
      confirmLater()
    } catch {
      refuse(message, mandatory: publishing.mandatory, error)
    }
    if let journal, journal.holdsPublishers { holdPublisher(journal) }
  }

  /// The store is behind, or full: the publisher has to wait.
  private func holdPublisher(_ journal: Journal) {
    if connection.broker.alarm != nil {
      connection.block()
    } else {
      connection.waitForJournal(journal.lastTicket)
    }
  }

  /// Looked at as a number: what a set of options costs is seen here.
  private static let checkedProperties = PropertyFlags.checked.rawValue

  // hot:
  private func exchangeOfPublish(_ message: Message) throws(ProtocolError) -> Exchange {
    if publishing.topology == vhost.topology, let exchange = publishing.exchange { return exchange }
    return try lookUpExchange(message)
  }

  /// The exchange of a publish that is not like the last, or comes after a change: here permission is asked for.
  private func lookUpExchange(_ message: Message) throws(ProtocolError) -> Exchange {
    publishing.topology = vhost.topology
    publishing.queuesAreKnown = false
    publishing.exchange = nil
    let name = ByteString(publishing.exchangeName)
    try check(.write, exchange: name)
    let exchange = try vhost.exchange(name)
    guard !exchange.isInternal else {
      throw ProtocolError(
        .accessRefused, "cannot publish to internal \(vhost.describedExchange(exchange.name))")
    }
    publishing.keysAreChecked = connection.access.asksAboutTopics(of: exchange)
    // Those of other messages are checked after their properties, in RabbitMQ's order.
    if publishing.keysAreChecked, message.header.properties.flags.rawValue & Self.checkedProperties == 0 {
      try checkKeys(message, exchange)
    }
    publishing.exchange = exchange
    return exchange
  }

  /// CC and BCC are routing keys like the one in the method.
  private func checkKeys(_ message: Message, _ exchange: Exchange) throws(ProtocolError) {
    let keys = [ByteString(message.routingKey)] + (message.header.extraKeys?.keys ?? [])
    // Those before are known already if it had to wait.
    for key in keys.dropFirst(permittedKeys) {
      try check(.write, topic: key, of: exchange)
      permittedKeys += 1
    }
    permittedKeys = 0
  }

  private enum Enqueued {
    /// It went somewhere; one that a script drops or delays did too.
    case routed
    case unroutable
    /// A queue has no room for it.
    case full
  }

  // hot:
  private func enqueue(_ original: Message, _ exchange: Exchange) throws(ProtocolError) -> Enqueued {
    var message = original
    if !exchange.publishFilters.isEmpty {
      defer { throttle() }
      switch try vhost.filter(message, to: exchange, by: connection.identity) {
      case .pass(let passed): message = passed
      case .dropped: return .routed
      case .delayed(let delayed, let milliseconds):
        vhost.delay(delayed, to: exchange.name, by: connection.identity, milliseconds)
        return .routed
      }
    }
    let isAsSent = message === original && message.header.extraKeys == nil
    if publishing.queuesAreKnown, isAsSent {
      var isFull = false
      for queue in publishing.queues where queue.enqueue(message) == .refused { isFull = true }
      return isFull ? .full : publishing.queues.isEmpty ? .unroutable : .routed
    }
    defer { throttle() }
    let published =
      vhost.isTraced
      ? try publishTraced(message, to: exchange)
      : try vhost.publish(message, to: exchange, by: connection.identity, filtered: true)
    if publishing.isRepeated, isAsSent, let queues = vhost.repeatableQueues {
      publishing.queues = queues
      publishing.queuesAreKnown = true
    }
    return switch published {
    case .queued(0): .unroutable
    case .refused: .full
    case .queued, .dropped, .delayed: .routed
    }
  }

  private func publishTraced(_ message: Message, to exchange: Exchange) throws(ProtocolError)
    -> VirtualHost.Published
  {
    let routed = try vhost.prepare(message, to: exchange, by: connection.identity, filtered: true)
    trace(routed)
    return try vhost.enqueue(routed, by: connection.identity)
  }

  private func trace(_ routed: VirtualHost.Routed) {
    vhost.tracePublish(routed.message, to: Array(routed.queues), by: connection.identity, on: name)
  }

  /// For people, and for who traces.
  var name: ChannelName { ChannelName(connection: connection.name, number: number) }

  private func throttle() {
    let milliseconds = vhost.takeThrottle()
    if milliseconds > 0 { connection.throttle(milliseconds: milliseconds) }
  }

  /// What the properties ask for: checks, and CC and BCC as further routing keys.
  private func checked(_ message: Message, _ exchange: Exchange) throws(ProtocolError) -> Message {
    let message = try withReplyAddress(message)
    let properties = message.properties
    let index = message.header.properties
    if index.flags.contains(.expiration) {
      try Expiration.check(ByteString(UnsafeRawBufferPointer(rebasing: properties[index.expiration.range])))
    }
    let keyed = try message.withExtraKeys()
    if publishing.keysAreChecked { try checkKeys(keyed, exchange) }
    if index.flags.contains(.userID) {
      let claimed = UnsafeRawBufferPointer(rebasing: properties[index.userID.range])
      let identity = connection.identity
      guard claimed.elementsEqual(identity.nameOctets.bytes) || identity.tags.contains("impersonator") else {
        throw ProtocolError(
          .preconditionFailed,
          "user_id property set to '\(ByteString(claimed))' but authenticated user was '\(identity.name)'")
      }
    }
    return keyed
  }

  /// A request that wants its reply at the pseudo-queue gets this channel's address instead.
  private func withReplyAddress(_ message: Message) throws(ProtocolError) -> Message {
    let index = message.header.properties
    guard index.flags.contains(.replyTo),
      message.properties[index.replyTo.range].elementsEqual(Self.replyTo.bytes)
    else { return message }
    guard let replyQueue else {
      throw ProtocolError(.preconditionFailed, "fast reply consumer does not exist")
    }
    var changed = try BasicProperties(message.properties)
    changed.replyTo = replyQueue.name
    return try message.withProperties(changed)
  }

  /// A script or a limit refused the message: in confirm mode the publisher is told by `basic.nack`, else by
  /// `basic.return` if it asked for that.
  func refuse(_ message: Message, mandatory: Bool, _ error: ProtocolError) {
    connection.broker.logRefusal {
      "\(connection.peer): message to \(vhost.describedExchange(ByteString(message.exchange))) refused: "
        + error.text
    }
    if confirms != nil {
      rejectLast()
    } else if mandatory {
      sendReturn(message, error.code, error.replyText)
    }
  }

  func sendReturn(_ message: Message, _ code: ReplyCode, _ text: ByteString) {
    let envelope = message.envelope
    outbox.countReply(of: message)
    outbox.sendContent(
      BasicReturn.id, channel: number, message: message, frameMaximum: frameMaximum,
      argumentsCount: 3 + text.count + envelope.count
    ) { cursor in
      cursor.put(code.rawValue)
      cursor.put(UInt8(truncatingIfNeeded: text.count))
      text.bytes.withUnsafeBytes { cursor.put($0) }
      cursor.put(envelope)
    }
  }
}

// MARK: transactions

/// What a channel has published and settled since `tx.select` or the last commit.
struct Transaction {
  struct Publish {
    let message: Message
    let mandatory: Bool
    /// Where it goes: decided when it was published, as in RabbitMQ.
    let route: Result<VirtualHost.Routed, ProtocolError>
  }

  var publishes: [Publish] = []
  /// Of the bodies published.
  var octets = 0
  var settlements: [(delivery: Delivery, settlement: Settlement)] = []
}

extension ClientChannel {
  /// - Throws: 406 if the transaction holds more than it may
  private func publishInTransaction(_ message: Message, to exchange: Exchange) throws(ProtocolError) {
    let maximum = connection.broker.settings.transactionMaximum
    let octets = (transaction?.octets ?? 0) + message.body.count
    guard octets <= maximum else {
      throw ProtocolError(
        .preconditionFailed, "transaction of \(octets) octets is larger than max size \(maximum)")
    }
    transaction?.octets = octets
    let route: Result<VirtualHost.Routed, ProtocolError>
    do throws(ProtocolError) {
      let routed = try vhost.prepare(message, to: exchange, by: connection.identity)
      if vhost.isTraced { trace(routed) }
      route = .success(routed)
    } catch {
      route = .failure(error)
    }
    throttle()
    transaction?.publishes.append(.init(message: message, mandatory: publishing.mandatory, route: route))
  }
}
