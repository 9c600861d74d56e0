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

  private var backlog: Backlog
  private var consumers = Consumers()
  private var lastPosition: UInt64 = 0
  /// What the store has of it: of a durable queue from the beginning, of another once it outgrows memory. Nil
  /// where all is in memory.
  private(set) var stored: StoredQueue?
  /// Persistent messages are given to the journal.
  private let keepsMessages: Bool
  private let journal: Journal?
  private var isReading = false
  /// Pages that were asked for before the last purge are not wanted.
  private var epoch = 0
  /// Who wants the next message and cannot have it yet.
  private var gettersWaiting: [Pending<Void>] = []
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

  /// - Parameter stored: what an earlier process has left in the store
  init(_ definition: QueueDefinition, vhost: VirtualHost, stored: StoredQueue? = nil) {
    name = definition.name
    // RabbitMQ: an exclusive queue is gone with its connection, so it is never durable.
    durable = definition.durable && definition.owner == nil
    autoDelete = definition.autoDelete
    owner = definition.owner
    arguments = definition.arguments
    self.vhost = vhost
    backlog = Backlog(ledger: vhost.broker.ledger)
    journal = vhost.broker.journal
    keepsMessages = durable && journal != nil
    if let stored { recover(stored) } else if keepsMessages { makeStored() }
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

  /// To a consumer that waits, or into the backlog, and if it is to be kept into the journal.
  // hot:
  public func enqueue(_ message: Message) {
    lastPosition += 1
    var queued = QueuedMessage(message: message, position: lastPosition)
    let consumer = backlog.isEmpty && deliverFilters.isEmpty ? consumers.nextWithCredit() : nil
    if keepsMessages { keep(&queued, unlessTakenBy: consumer) }
    if let consumer {
      stored?.delivered(queued)
      return handUnfiltered(queued, to: consumer)
    }
    if backlog.hasRoom || journal == nil { backlog.append(queued) } else { pageOut(queued) }
    // A filter may put it back, so it has its place first.
    if !deliverFilters.isEmpty { drain() }
  }

  /// What a consumer takes for good is not kept.
  // hot:
  private func keep(_ queued: inout QueuedMessage, unlessTakenBy consumer: Consumer?) {
    guard let stored else { return }
    if queued.message.isPersistent, !(consumer?.noAck ?? false) {
      queued.ticket = stored.append(queued.message, at: queued.position)
    } else {
      stored.passed(queued.position)
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
  /// - Parameter filtered: it has been through the filters
  public func offer(_ message: Message, by identity: Identity, filtered: Bool = false) -> Offered {
    var message = message
    guard !enqueueFilters.isEmpty, !filtered else {
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
      case .delayed(let milliseconds, let changed):
        vhost.delay(changed ?? message, into: self, by: identity, milliseconds)
        return .taken
      }
    }
    enqueue(message)
    return .taken
  }

  /// A message that was here takes its place again after a time. Its place is kept for it, across restarts too.
  func comeBack(_ queued: QueuedMessage, as message: Message? = nil, after milliseconds: Int64) {
    var back = queued
    back.message = message ?? queued.message
    if queued.ticket != 0, let stored {
      let due = vhost.broker.clock.wallMilliseconds &+ UInt64(clamping: milliseconds)
      back.ticket = stored.rewrite(queued, as: back.message, extra: StoredExtra(dueMilliseconds: due))
    }
    comeBackUnchanged(back, after: milliseconds)
  }

  func comeBackUnchanged(_ queued: QueuedMessage, after milliseconds: Int64) {
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
    while !backlog.isEmpty, let consumer = consumers.nextWithCredit(), let queued = takeFirst() {
      hand(queued, to: consumer)
    }
  }

  /// Delivers a share.
  /// - Returns: whether there is more that could be delivered
  public func drain(atMost share: Int) -> Bool {
    for _ in 0..<share {
      guard !backlog.isEmpty, let consumer = consumers.nextWithCredit(), let queued = takeFirst() else {
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
    while !backlog.isEmpty, consumer.isSubscribed, consumer.hasCredit, let queued = takeFirst() {
      hand(queued, to: consumer)
    }
  }

  /// The next message, if it is in memory and the store knows that it may be delivered; else `drain` is called when
  /// it is and does.
  // hot:
  private func takeFirst() -> QueuedMessage? {
    guard stored != nil else { return backlog.popFirst() }
    return takeFirstStored()
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
    if consumer.noAck { leave(queued) }
  }

  private func handFiltered(_ queued: QueuedMessage, to consumer: Consumer) {
    guard let shown = filtered(queued, for: consumer.identity) else { return }
    if !consumer.noAck { unsettledCount += 1 }
    consumer.take(queued, showing: shown)
    if consumer.noAck { leave(queued) }
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
          backlog.putBack(back)
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
    while let queued = takeFirst() {
      guard let shown = deliverFilters.isEmpty ? queued.message : filtered(queued, for: getter.identity)
      else {
        continue
      }
      let tag = getter.deliveries.nextTag()
      if getter.noAck {
        leave(queued)
      } else {
        unsettledCount += 1
        getter.deliveries.append(Delivery(tag: tag, queued: queued, consumer: getter, limited: false))
      }
      return .message(shown, redelivered: queued.redelivered, tag: tag)
    }
    guard !backlog.isEmpty else { return .empty }
    let pending = Pending<Void>()
    gettersWaiting.append(pending)
    return .later(pending)
  }

  // hot:
  func settle(_ queued: QueuedMessage, _ settlement: Settlement) {
    unsettledCount -= 1
    guard !isDeleted else { return }
    guard case .rejected(let requeue) = settlement else { return leave(queued) }
    guard requeue else { return die(queued, .rejected) }
    var back = queued
    back.redelivered = true
    backlog.putBack(back)
  }

  /// The message is not in the queue any more.
  // hot:
  @inline(__always)
  func leave(_ queued: QueuedMessage) {
    if queued.ticket != 0, !isDeleted { stored?.remove(queued) }
  }

  /// Drops what is ready; what is unsettled stays with its consumers.
  /// - Returns: how many were dropped
  public func purge() -> Int {
    let count = backlog.count
    if let stored, backlog.paged.count > 0 {
      stored.remove(
        backlog.pagedPositions(below: lastPosition + 1), durable: backlog.paged.durable,
        octets: backlog.paged.octets)
    }
    backlog.removeAll { leave($0) }
    epoch += 1
    return count
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
    if let stored {
      stored.queue = nil
      journal?.drop(stored)
    }
    answerGetters()
    let all = consumers.all
    consumers.removeAll()
    for consumer in all {
      consumer.isSubscribed = false
      consumer.cancelledByQueue()
    }
  }

  // MARK: the store

  /// It outlives a restart from now on, if it is to.
  func define() {
    guard durable, let stored else { return }
    journal?.define(definitionKey, definition(number: stored.number))
  }

  private func makeStored() {
    guard let journal else { return }
    let made = StoredQueue(number: vhost.broker.nextQueueNumber(), journal: journal)
    made.queue = self
    stored = made
  }

  private func recover(_ stored: StoredQueue) {
    self.stored = stored
    stored.queue = self
    lastPosition = stored.lastPosition
    backlog.recover(
      count: stored.recoveredCount, octets: stored.recoveredOctets, from: stored.head)
  }

  /// Memory is full: the message waits in the store.
  private func pageOut(_ queued: QueuedMessage) {
    var queued = queued
    if queued.ticket == 0 {
      if stored == nil { makeStored() }
      queued.ticket = stored?.appendTransient(queued.message, at: queued.position) ?? 0
      queued.isPagedOut = true
    }
    backlog.appendBehind(queued)
  }

  // hot:
  private func takeFirstStored() -> QueuedMessage? {
    guard let stored else { return nil }
    if backlog.wantsPage { readPage(stored) }
    guard var queued = backlog.first, stored.mayDeliver(queued) else { return nil }
    _ = backlog.popFirst()
    stored.delivered(queued)
    if queued.isPagedOut {
      stored.remove(queued)
      queued.ticket = 0
      queued.isPagedOut = false
    }
    return queued
  }

  private func readPage(_ stored: StoredQueue) {
    guard !isReading else { return }
    isReading = true
    backlog.pageIsAsked()
    let paged = backlog.paged
    let positions = backlog.pagedPositions(below: lastPosition + 1)
    let page = StorePage(
      queue: stored.number, positions: positions, mostMessages: Backlog.pageMessages,
      mostOctets: Backlog.pageOctets, hasDurable: paged.durable > 0,
      hasTransient: paged.durable < paged.count,
      respectsRanges: positions.lowerBound < stored.holesBelow)
    let epoch = epoch
    stored.journal.store.read(page) { [self] read in
      isReading = false
      guard !isDeleted else { return }
      if epoch == self.epoch { take(read, of: stored, positions) }
      drain()
      answerGetters()
      stored.journal.onProgress()
    }
  }

  /// A page has come.
  private func take(_ read: StorePageRead, of stored: StoredQueue, _ positions: Range<UInt64>) {
    if let problem = read.problem { vhost.broker.logger.error("\(described): \(problem)") }
    var next = positions.lowerBound
    var transient: Range<UInt64>?
    let now = vhost.broker.clock.wallMilliseconds
    for item in read.items {
      // Between two messages there were others, of which nothing is kept.
      if next < item.position { stored.passed(next..<item.position) }
      next = item.position + 1
      backlog.unpaged(at: item.position, durableOctets: item.isTransient ? nil : item.message.octets.count)
      item.message.header.sharedBody = item.sharedBody
      var queued = QueuedMessage(message: item.message, position: item.position)
      queued.redelivered = item.position <= stored.recoveredUpTo
      if item.isTransient {
        transient = (transient?.lowerBound ?? item.position)..<next
      } else {
        queued.ticket = Journal.recovered
      }
      if item.extra.dueMilliseconds > now {
        comeBackUnchanged(queued, after: Int64(clamping: item.extra.dueMilliseconds - now))
      } else {
        backlog.append(queued)
      }
    }
    if let transient { stored.removeTransient(transient) }
    if read.reachedEnd {
      if next < positions.upperBound { stored.passed(next..<positions.upperBound) }
      let missing = backlog.nothingPaged(below: positions.upperBound)
      if missing.durable != 0 {
        vhost.broker.logger.error("\(described): \(missing.durable) messages are not in the store")
        stored.correct(count: missing.durable, octets: missing.octets)
      }
    }
    backlog.pageWasRead()
  }

  /// The process ends in order: nobody consumes any more.
  func endDeliveries() { stored?.endDeliveries() }

  /// The store has messages up to a ticket, and knows how far they may be delivered.
  func storeSettled(upTo ticket: Journal.Ticket, wasBlocked: Bool) {
    backlog.settled(upTo: ticket)
    guard wasBlocked else { return }
    drain()
    answerGetters()
  }

  private func answerGetters() {
    let waiting = gettersWaiting
    gettersWaiting = []
    for pending in waiting { pending.answer(()) }
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
