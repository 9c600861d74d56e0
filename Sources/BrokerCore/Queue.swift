import AMQPWire

/// A queue: messages in order, who may take them, and when they leave. Knows nothing of sockets.
public final class Queue {
  public let name: ByteString
  public let durable: Bool
  public let autoDelete: Bool
  /// The connection that declared an exclusive queue, and that alone may use it.
  public let owner: ConnectionID?
  public let arguments: FieldTable
  public unowned let vhost: VirtualHost

  private var backlog = Backlog()
  private var consumers = Consumers()
  private var lastPosition: UInt64 = 0
  /// Messages that consumers hold unacknowledged: with those that are ready, all that is in the queue.
  public private(set) var unsettledCount = 0
  public private(set) var isDeleted = false
  private var hadConsumer = false
  /// Those of the broker's filters that are for this queue.
  public private(set) var enqueueFilters: [any MessageFilter] = []
  private var deliverFilters: [any MessageFilter] = []

  /// Bindings that lead here.
  var incoming: Set<Binding> = []
  /// The publish that reached this queue last: each queue gets a message once.
  var routedStamp: UInt64 = 0

  init(_ definition: QueueDefinition, vhost: VirtualHost) {
    name = definition.name
    // RabbitMQ: an exclusive queue is gone with its connection, so it is never durable.
    durable = definition.durable && definition.owner == nil
    autoDelete = definition.autoDelete
    owner = definition.owner
    arguments = definition.arguments
    self.vhost = vhost
    chooseFilters()
  }

  func chooseFilters() {
    let hooks = vhost.broker.hooks
    enqueueFilters = hooks.enqueueFilters.filter { $0.isFor(vhost: vhost.name, name: name) }
    deliverFilters = hooks.deliverFilters.filter { $0.isFor(vhost: vhost.name, name: name) }
  }

  public var readyCount: Int { backlog.count }
  public var consumerCount: Int { consumers.count }

  // MARK: messages in

  /// To a consumer that waits, or into the backlog.
  // hot:
  public func enqueue(_ message: Message) {
    lastPosition += 1
    let queued = QueuedMessage(message: message, position: lastPosition)
    if backlog.isEmpty, deliverFilters.isEmpty, let consumer = consumers.nextWithCredit() {
      handUnfiltered(queued, to: consumer)
    } else {
      backlog.append(queued)
      // A filter may put it back, so it has its place first.
      if !deliverFilters.isEmpty { drain() }
    }
  }

  /// What became of a message that was offered to a queue.
  public enum Offered {
    /// It is in, or handed over; or a filter lets it in later.
    case taken
    case dropped
    case refused(String)
  }

  /// `enqueue`, if the filters before the queue let the message in.
  public func offer(_ message: Message, by identity: Identity, delayedMilliseconds: Int64? = nil) -> Offered {
    var message = message
    guard !enqueueFilters.isEmpty, delayedMilliseconds == nil else {
      enqueue(message)
      return .taken
    }
    let context = FilterContext(vhost: vhost, identity: identity, queue: self)
    for filter in enqueueFilters {
      switch filter.run(message, context) {
      case .pass: continue
      case .changed(let changed): message = changed
      case .dropped(let reason):
        vhost.messageDropped(message, queue: name, reason)
        return .dropped
      case .denied(let reason), .failed(let reason): return .refused(reason)
      case .throttled(let milliseconds): vhost.throttle(milliseconds)
      case .delayed(let milliseconds):
        let delayed = message
        vhost.broker.deadlines.after(milliseconds: milliseconds) { [self] in
          // Held strongly: one weak reference would make counting the others slow for good.
          guard !isDeleted else { return }
          _ = offer(delayed, by: identity, delayedMilliseconds: milliseconds)
        }
        return .taken
      }
    }
    enqueue(message)
    return .taken
  }

  /// A message that was here takes its place again after a time.
  func comeBack(_ queued: QueuedMessage, after milliseconds: Int64) {
    vhost.broker.deadlines.after(milliseconds: milliseconds) { [self] in
      guard !isDeleted else { return }
      var back = queued
      back.redelivered = true
      backlog.putBack(back)
      drain()
    }
  }

  // MARK: messages out

  /// Delivers as long as there are messages and consumers with credit.
  // hot:
  public func drain() {
    while !backlog.isEmpty, let consumer = consumers.nextWithCredit() {
      guard let queued = backlog.popFirst() else { return }
      hand(queued, to: consumer)
    }
  }

  /// Delivers a share.
  /// - Returns: whether there is more that could be delivered
  public func drain(atMost share: Int) -> Bool {
    for _ in 0..<share {
      guard !backlog.isEmpty, let consumer = consumers.nextWithCredit(), let queued = backlog.popFirst()
      else {
        return false
      }
      hand(queued, to: consumer)
    }
    return !backlog.isEmpty
  }

  /// Delivers to one consumer, which has just got room. Where messages wait nobody else has any, so nobody
  /// else is asked: an acknowledgement costs the same however many consumers there are.
  // hot:
  public func drain(to consumer: Consumer) {
    while !backlog.isEmpty, consumer.isSubscribed, consumer.hasCredit, let queued = backlog.popFirst() {
      hand(queued, to: consumer)
    }
  }

  @inline(__always)
  private func hand(_ queued: QueuedMessage, to consumer: Consumer) {
    guard deliverFilters.isEmpty else { return handFiltered(queued, to: consumer) }
    handUnfiltered(queued, to: consumer)
  }

  @inline(__always)
  private func handUnfiltered(_ queued: QueuedMessage, to consumer: Consumer) {
    if !consumer.noAck { unsettledCount += 1 }
    consumer.take(queued)
  }

  private func handFiltered(_ queued: QueuedMessage, to consumer: Consumer) {
    guard let shown = filtered(queued, for: consumer.identity) else { return }
    if !consumer.noAck { unsettledCount += 1 }
    consumer.take(queued, showing: shown)
  }

  /// - Returns: the message as its consumer is to see it; nil if it does not get it
  private func filtered(_ queued: QueuedMessage, for identity: Identity) -> Message? {
    var shown = queued.message
    let context = FilterContext(
      vhost: vhost, identity: identity, queue: self, redelivered: queued.redelivered)
    for filter in deliverFilters {
      switch filter.run(shown, context) {
      case .pass, .throttled: continue
      case .changed(let changed): shown = changed
      case .dropped(let reason):
        vhost.messageDropped(shown, queue: name, reason)
        return nil
      case .denied:
        die(queued, .rejected)
        return nil
      case .delayed(let milliseconds):
        comeBack(queued, after: milliseconds)
        return nil
      case .failed:
        if queued.filterFailed {
          die(queued, .rejected)
        } else {
          var back = queued
          back.filterFailed = true
          backlog.putBack(back)
        }
        return nil
      }
    }
    return shown
  }

  /// `basic.get`. With a getter the message is its until it is settled, without one it is gone.
  /// - Parameter getter: a consumer that is in no queue's list, to hold the delivery
  /// - Returns: the message, its delivery tag, and nil if the queue is empty
  public func get(_ getter: Consumer) -> (shown: Message, redelivered: Bool, tag: UInt64)? {
    var found: (queued: QueuedMessage, shown: Message)?
    while found == nil, let next = backlog.popFirst() {
      let shown = deliverFilters.isEmpty ? next.message : filtered(next, for: getter.identity)
      found = shown.map { (next, $0) }
    }
    guard let (queued, shown) = found else { return nil }
    let tag = getter.deliveries.nextTag()
    if !getter.noAck {
      unsettledCount += 1
      getter.deliveries.append(Delivery(tag: tag, queued: queued, consumer: getter, limited: false))
    }
    return (shown, queued.redelivered, tag)
  }

  // hot:
  func settle(_ queued: QueuedMessage, _ settlement: Settlement) {
    unsettledCount -= 1
    guard case .rejected(let requeue) = settlement, !isDeleted else { return }
    guard requeue else { return die(queued, .rejected) }
    var back = queued
    back.redelivered = true
    backlog.putBack(back)
  }

  /// Drops what is ready; what is unsettled stays with its consumers.
  /// - Returns: how many were dropped
  public func purge() -> Int {
    defer { backlog.removeAll() }
    return backlog.count
  }

  // MARK: consumers

  /// - Throws: 403 if somebody consumes exclusively, or if this one wants to and is not alone.
  public func subscribe(_ consumer: Consumer) throws(ProtocolError) {
    if consumers.hasExclusive || (consumer.exclusive && !consumers.isEmpty) {
      throw ProtocolError(.accessRefused, "\(described) in exclusive use")
    }
    consumers.insert(consumer)
    consumer.isSubscribed = true
    hadConsumer = true
  }

  /// Takes a consumer out; what it has not settled stays with its channel. An auto-delete queue goes with
  /// its last consumer.
  public func unsubscribe(_ consumer: Consumer) {
    guard consumer.isSubscribed else { return }
    consumer.isSubscribed = false
    consumers.remove(consumer)
    if autoDelete, hadConsumer, consumers.isEmpty, !isDeleted { vhost.remove(self) }
  }

  /// Ends the queue: its messages are dropped and its consumers told.
  func close() {
    isDeleted = true
    backlog.removeAll()
    let all = consumers.all
    consumers.removeAll()
    for consumer in all {
      consumer.isSubscribed = false
      consumer.cancelledByQueue()
    }
  }

  /// "queue 'q' in vhost '/'", as error texts have it.
  public var described: String { "queue '\(name)' in vhost '\(vhost.name)'" }
}

/// What `queue.declare` asks for.
public struct QueueDefinition {
  public var name: ByteString
  public var durable: Bool
  public var owner: ConnectionID?
  public var autoDelete: Bool
  public var arguments: FieldTable

  public init(
    name: ByteString, durable: Bool = false, owner: ConnectionID? = nil, autoDelete: Bool = false,
    arguments: FieldTable = [:]
  ) {
    self.name = name
    self.durable = durable
    self.owner = owner
    self.autoDelete = autoDelete
    self.arguments = arguments
  }
}

/// A connection's number, never given twice while the process lives.
public struct ConnectionID: Hashable, Sendable {
  public let number: UInt64
  public init(_ number: UInt64) { self.number = number }
}
