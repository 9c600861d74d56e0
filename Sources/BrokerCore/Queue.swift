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

  public let type: QueueType
  public private(set) var policies = PoliciesInForce()
  private(set) var rules: QueueRules
  /// By priority; one, if the queue has no priorities.
  private(set) var levels: ContiguousArray<Level> = []
  /// What it has instead, if it is one.
  private(set) var stream: Stream?
  private var consumers: Consumers
  /// Who wants the next message and cannot have it yet.
  private var gettersWaiting: [Pending<Void>] = []
  /// Messages that consumers hold unacknowledged: with those that are ready, all that is in the queue.
  public private(set) var unsettledCount = 0
  /// Octets of memory of those that are kept in the store too.
  private var lent = 0
  public private(set) var isDeleted = false
  private var hadConsumer = false
  /// Those of the broker's filters that are for this queue.
  public private(set) var enqueueFilters: [any MessageFilter] = []
  private(set) var deliverFilters: [any MessageFilter] = []
  /// A message may go to its consumer before it has a place.
  private var handsOver = true
  /// Consumers see messages as they came, and nobody else looks.
  private var showsAsIs = true

  /// Bindings that lead here.
  var incoming: Set<Binding> = []
  /// The publish that reached this queue last: each queue gets a message once.
  var routedStamp: UInt64 = 0

  /// Messages may have to leave before anybody takes them.
  var isExpiring = false
  /// When the first message has to be looked at, in milliseconds since 1970; nil: not for its own sake.
  var expiryTimer: UInt64?
  private var handle: QueueHandle?
  /// What came back is looked at in the next turn.
  var looksAgain = false
  /// Grows when the rules change: what waits for an earlier round is stale.
  var expiryRound = 0
  /// What came back may be more than there is room for.
  var needsRoom = false
  /// When somebody last used it, in nanoseconds.
  private(set) var lastUsed: UInt64

  /// - Parameter stored: what an earlier process has left in the store, by priority
  init(_ definition: QueueDefinition, vhost: VirtualHost, stored: [StoredQueue] = []) {
    name = definition.name
    // RabbitMQ: an exclusive queue is gone with its connection, so it is never durable.
    durable = definition.durable && definition.owner == nil
    autoDelete = definition.autoDelete
    owner = definition.owner
    arguments = definition.arguments
    type = QueueType(definition.arguments)
    if !vhost.policies.isEmpty { policies = vhost.policies.inForce(for: name, type) }
    rules = QueueRules(type.effective(definition.arguments, policies.definition))
    self.vhost = vhost
    consumers = Consumers(singleActive: rules.singleActive)
    lastUsed = vhost.broker.clock.nanoseconds
    if type == .stream {
      stream = Stream(of: self, stored: stored.first)
    } else {
      for priority in 0...rules.priorityMaximum {
        let index = Int(priority)
        levels.append(
          Level(priority: priority, of: self, stored: index < stored.count ? stored[index] : nil))
      }
    }
    chooseFilters()
    beginRules()
  }

  func chooseFilters() {
    let hooks = vhost.broker.hooks
    enqueueFilters = hooks.enqueueFilters.filter { $0.isFor(vhost: vhost.name, name: name) }
    deliverFilters = hooks.deliverFilters.filter { $0.isFor(vhost: vhost.name, name: name) }
    handsOver = deliverFilters.isEmpty && !vhost.isTraced
    showsAsIs = handsOver && type != .quorum
  }

  /// Policies changed: what they ask for is done at once, for messages that are here too.
  func obeyPolicies() {
    let before = policies
    policies = vhost.policies.inForce(for: name, type)
    guard policies != before else { return }
    rules = QueueRules(type.effective(arguments, policies.definition))
    if let stream { stream.rulesChanged() } else { rulesChanged() }
  }

  public var readyCount: Int { stream?.count ?? levels.reduce(0) { $0 + $1.backlog.count } }
  public var consumerCount: Int { consumers.count }
  // hot:
  var isEmpty: Bool { levels.count == 1 ? levels[0].isEmpty : levels.allSatisfy(\.isEmpty) }

  // hot:
  private func level(of message: Message) -> Level {
    guard levels.count > 1 else { return levels[0] }
    return levels[min(Int(message.header.properties.priority), levels.count - 1)]
  }

  // MARK: messages in

  public enum Enqueued {
    /// To a consumer that waited, or into the backlog.
    case taken
    /// There is no room, and the publisher is to be told.
    case refused
  }

  /// To a consumer that waits, or into the backlog, and if it is to be kept into the journal.
  // hot:
  @discardableResult
  public func enqueue(_ message: Message) -> Enqueued {
    if let stream {
      stream.append(message)
      return .taken
    }
    let consumer = handsOver && isEmpty ? consumers.nextWithCredit() : nil
    if rules.refusesWhenFull, consumer == nil, wouldOverflow(message) {
      refuse(message)
      return .refused
    }
    let level = level(of: message)
    let queued = level.admit(message, expires: expiry(of: message), takenBy: consumer)
    if let consumer {
      handUnfiltered(queued, to: consumer)
      return .taken
    }
    level.append(queued)
    // A filter may put it back, so it has its place first.
    if !handsOver { drain() }
    if queued.expires != 0 || rules.dropsWhenFull { wasAppended(queued) }
    return .taken
  }

  /// What became of a message that was offered to a queue.
  public enum Offered {
    /// It is in, or handed over; or a filter lets it in later.
    case taken
    case dropped
    case refused(String)
    /// There is no room, and the publisher is to be told.
    case full

    init(_ enqueued: Enqueued) { self = enqueued == .taken ? .taken : .full }
  }

  /// `enqueue`, if the filters before the queue let the message in.
  /// - Parameter filtered: it has been through the filters
  public func offer(_ message: Message, by identity: Identity, filtered: Bool = false) -> Offered {
    var message = message
    guard !enqueueFilters.isEmpty, !filtered else { return Offered(enqueue(message)) }
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
      case .delayed(let milliseconds, let changed):
        vhost.delay(changed ?? message, into: self, by: identity, milliseconds)
        return .taken
      }
    }
    return Offered(enqueue(message))
  }

  /// A message that was here takes its place again after a time. Its place is kept for it, across restarts too.
  func comeBack(_ queued: QueuedMessage, as message: Message? = nil, after milliseconds: Int64) {
    let due = vhost.broker.clock.wallMilliseconds &+ UInt64(clamping: milliseconds)
    let level = levels[Int(queued.priority)]
    comeBack(level.rewrite(queued, as: message ?? queued.message, dueMilliseconds: due), in: milliseconds)
  }

  func comeBack(_ queued: QueuedMessage, in milliseconds: Int64) {
    vhost.broker.deadlines.after(milliseconds: milliseconds) { [self] in
      guard !isDeleted else { return }
      putBack(queued)
      drain()
    }
  }

  /// To where it was.
  private func putBack(_ queued: QueuedMessage) {
    var back = queued
    back.redelivered = true
    levels[Int(queued.priority)].putBack(back)
    if queued.expires != 0 || rules.dropsWhenFull { wasPutBack(queued) }
  }

  // MARK: messages out

  /// Delivers as long as there are messages and consumers with credit.
  // hot:
  public func drain() {
    if let stream { return stream.deliver() }
    if needsRoom { makeRoom() }
    while !isEmpty, let consumer = consumers.nextWithCredit(), let queued = takeFirst() {
      hand(queued, to: consumer)
    }
  }

  /// Delivers a share.
  /// - Returns: whether there is more that could be delivered
  public func drain(atMost share: Int) -> Bool {
    if let stream { return stream.deliver(atMost: share) }
    for _ in 0..<share {
      guard !isEmpty, let consumer = consumers.nextWithCredit(), let queued = takeFirst() else {
        return false
      }
      hand(queued, to: consumer)
    }
    return !isEmpty
  }

  /// Delivers to one consumer, which has just got room. Where messages wait nobody else has any, so nobody
  /// else is asked: an acknowledgement costs the same however many consumers there are.
  // hot:
  public func drain(to consumer: Consumer) {
    if let reader = consumer.reader {
      _ = reader.deliver()
      return
    }
    while !isEmpty, consumers.mayServe(consumer), consumer.hasCredit, let queued = takeFirst() {
      hand(queued, to: consumer)
    }
  }

  /// The next message, if it can be had now; else `hasMore` is called when it can.
  // hot:
  private func takeFirst() -> QueuedMessage? {
    if isExpiring, !dropExpired() { return nil }
    let taken = levels.count == 1 ? levels[0].takeFirst() : takeFirstByPriority()
    // The one behind it may be over already: it was waiting for its turn.
    if isExpiring { _ = dropExpired() }
    return taken
  }

  private func takeFirstByPriority() -> QueuedMessage? {
    if let taken = levels.last(where: { !$0.isEmpty })?.takeFirst() { return taken }
    // The store is told of all priorities at once: else each would wait for a sync of its own.
    for level in levels { level.announceFirst() }
    return nil
  }

  /// What was not there, or could not be given, is and can.
  func hasMore() {
    if rules.dropsWhenFull { dropOverflow() }
    if isExpiring { _ = dropExpired() }
    drain()
    answerGetters()
  }

  @inline(__always)
  private func hand(_ queued: QueuedMessage, to consumer: Consumer) {
    guard showsAsIs else { return handFiltered(queued, to: consumer) }
    handUnfiltered(queued, to: consumer)
  }

  @inline(__always)
  private func handUnfiltered(_ queued: QueuedMessage, to consumer: Consumer) {
    if !consumer.noAck { lend(queued) }
    consumer.take(queued)
    if consumer.noAck { leave(queued) }
  }

  private func handFiltered(_ queued: QueuedMessage, to consumer: Consumer) {
    guard let shown = filtered(queued, for: consumer.identity) else { return }
    if !consumer.noAck { lend(queued) }
    if vhost.isTraced { vhost.traceDelivery(shown, of: self, redelivered: queued.redelivered, to: consumer) }
    consumer.take(queued, showing: shown)
    if consumer.noAck { leave(queued) }
  }

  /// - Returns: the message as its consumer is to see it; nil if it does not get it
  private func filtered(_ queued: QueuedMessage, for identity: Identity) -> Message? {
    var shown = queued.deliveryCount > 0 ? queued.counted : queued.message
    guard !deliverFilters.isEmpty else { return shown }
    let context = FilterContext(
      vhost: vhost, identity: identity, queue: self, redelivered: queued.redelivered)
    for filter in deliverFilters {
      switch filter.run(shown, context) {
      case .pass, .throttled: continue
      case .changed(let changed): shown = changed
      case .dropped(let reason):
        vhost.messageDropped(shown, queue: name, reason)
        leave(queued)
        return nil
      case .denied:
        die(queued, .rejected)
        return nil
      case .delayed(let milliseconds, let changed):
        comeBack(queued, as: changed, after: milliseconds)
        return nil
      case .failed:
        if queued.filterFailed {
          die(queued, .rejected)
        } else {
          var back = queued
          back.filterFailed = true
          levels[Int(back.priority)].putBack(back)
        }
        return nil
      }
    }
    return shown
  }

  public enum Got {
    case message(Message, redelivered: Bool, tag: UInt64)
    case empty
    /// There is one, and it has to be read first: ask again then.
    case later(Pending<Void>)
  }

  /// `basic.get`. The message is the getter's until it is settled; gone, if the getter does not acknowledge.
  /// - Parameter getter: a consumer that is in no queue's list, to hold the delivery
  public func get(_ getter: Consumer) -> Got {
    wasUsed()
    while let queued = takeFirst() {
      guard var shown = showsAsIs ? queued.message : filtered(queued, for: getter.identity) else { continue }
      // A consumer is told when a message comes again; a getter always.
      if type == .quorum, queued.deliveryCount == 0 { shown = queued.counted }
      if vhost.isTraced { vhost.traceDelivery(shown, of: self, redelivered: queued.redelivered, to: getter) }
      let tag = getter.deliveries.nextTag()
      if getter.noAck {
        leave(queued)
      } else {
        lend(queued)
        getter.deliveries.append(Delivery(tag: tag, queued: queued, consumer: getter, limited: false))
      }
      return .message(shown, redelivered: queued.redelivered, tag: tag)
    }
    guard !isEmpty else { return .empty }
    let pending = Pending<Void>()
    gettersWaiting.append(pending)
    return .later(pending)
  }

  // hot:
  func settle(_ queued: QueuedMessage, _ settlement: Settlement) {
    guard stream == nil else { return }
    unsettledCount -= 1
    if !queued.isAway { weighLent(queued, -1) }
    guard !isDeleted else { return }
    switch settlement {
    case .acknowledged: leave(queued)
    case .rejected(requeue: false): die(queued, .rejected)
    case .rejected, .abandoned:
      guard type == .quorum else { return putBack(queued) }
      if case .abandoned = settlement { giveBack(queued, toFront: true) } else { giveBack(queued) }
    }
  }

  // hot:
  @inline(__always)
  private func lend(_ queued: QueuedMessage) {
    unsettledCount += 1
    weighLent(queued, 1)
  }

  // hot:
  @inline(__always)
  private func weighLent(_ queued: QueuedMessage, _ sign: Int) {
    guard queued.ticket != 0 else { return }
    let octets = sign * queued.message.weight
    lent += octets
    vhost.broker.ledger.add(octets)
  }

  /// What its consumers hold unsettled is more than is to be in memory. What comes back to a quorum queue is written
  /// anew, and so it is held.
  // hot:
  var lendsTooMuch: Bool { lent > 0 && type != .quorum && !vhost.broker.ledger.allows(lent) }

  /// Memory lets go of a message that a consumer holds, if the store has it: it is read when it comes back.
  /// - Returns: false if the store does not have it yet
  func letGo(of queued: inout QueuedMessage) -> Bool {
    guard queued.ticket != 0, !queued.isAway, !isDeleted else { return true }
    let held = queued
    guard levels[Int(queued.priority)].letGo(of: &queued) else { return false }
    weighLent(held, -1)
    return true
  }

  /// The message is not in the queue any more.
  // hot:
  @inline(__always)
  func leave(_ queued: QueuedMessage) {
    if queued.ticket != 0, !isDeleted { levels[Int(queued.priority)].leave(queued) }
  }

  /// Drops what is ready; what is unsettled stays with its consumers.
  /// - Returns: how many were dropped
  public func purge() -> Int {
    let count = readyCount
    for level in levels { level.purge() }
    return count
  }

  // MARK: consumers

  /// Somebody has shown interest: it does not expire for a while.
  public func wasUsed() {
    if rules.expiresMilliseconds != nil { lastUsed = vhost.broker.clock.nanoseconds }
  }

  /// - Throws: 403 if somebody consumes exclusively, or if this one wants to and is not alone.
  public func subscribe(_ consumer: Consumer) throws(ProtocolError) {
    // A quorum queue knows no exclusive consumers: it does not even refuse them. A stream neither.
    if let stream {
      try stream.checkConsumer(consumer)
      stream.attach(consumer)
    } else if type != .quorum,
      consumers.hasExclusive || (consumer.exclusive && (!consumers.isEmpty || rules.singleActive))
    {
      throw ProtocolError(.accessRefused, "\(described) in exclusive use")
    }
    consumers.insert(consumer)
    consumer.isSubscribed = true
    hadConsumer = true
    note(consumer, "consumer.created")
  }

  /// Takes a consumer out; what it has not settled stays with its channel. An auto-delete queue goes with
  /// its last consumer.
  public func unsubscribe(_ consumer: Consumer) {
    guard consumer.isSubscribed else { return }
    consumer.isSubscribed = false
    consumers.remove(consumer)
    stream?.detach(consumer)
    note(consumer, "consumer.deleted")
    if consumers.isEmpty { wasUsed() }
    // Another may be the active one now.
    if rules.singleActive { drain() }
    if autoDelete, hadConsumer, consumers.isEmpty, !isDeleted { vhost.remove(self) }
  }

  /// Ends the queue: its messages are dropped.
  /// - Returns: its consumers, who are to be told
  func close() -> [Consumer] {
    isDeleted = true
    handle?.queue = nil
    for level in levels { level.close() }
    stream?.close()
    answerGetters()
    let all = consumers.all
    consumers.removeAll()
    for consumer in all {
      consumer.isSubscribed = false
      note(consumer, "consumer.deleted")
    }
    return all
  }

  // MARK: the store

  /// It outlives a restart from now on, if it is to.
  func define() {
    let numbers = stream.map { [$0.stored?.number] } ?? levels.map(\.stored?.number)
    let known = numbers.compactMap(\.self)
    guard durable, known.count == numbers.count else { return }
    vhost.broker.journal?.define(definitionKey, definition(numbers: known))
  }

  /// The process ends in order: nobody consumes any more.
  func endDeliveries() { for level in levels { level.stored?.endDeliveries() } }

  /// What a deadline holds, that may be days away: a queue that is deleted goes at once.
  func timerHandle() -> QueueHandle {
    if let handle { return handle }
    let made = QueueHandle(self)
    handle = made
    return made
  }

  private func answerGetters() {
    let waiting = gettersWaiting
    gettersWaiting = []
    for pending in waiting { pending.answer(()) }
  }

  /// "queue 'q' in vhost '/'", as error texts have it.
  public var described: String { "queue '\(name)' in vhost '\(vhost.name)'" }
}

/// A queue, as long as it is there. No weak reference: one would make counting the others slow for good.
final class QueueHandle {
  fileprivate(set) var queue: Queue?
  fileprivate init(_ queue: Queue) { self.queue = queue }
}

/// What `queue.declare` asks for.
public struct QueueDefinition: Sendable {
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
