import AMQPWire

/// One priority of a queue: its messages in memory, those in the store, and the way between. Knows no consumer.
///
/// For the store each level is a queue of its own, with positions of its own.
final class Level: StoredQueueOwner {
  let priority: UInt8
  private unowned let queue: Queue
  private(set) var backlog: Backlog
  /// What the store has: of a durable queue from the beginning, of another once it outgrows memory. Nil where all
  /// is in memory.
  private(set) var stored: StoredQueue?
  /// Persistent messages are given to the journal.
  private let keepsMessages: Bool
  /// So are all others.
  private let keepsTransient: Bool
  private let journal: Journal?
  private var lastPosition: UInt64 = 0
  private var isReading = false
  /// Delivered and rejected, and in the store alone.
  private var rejected = Away()
  /// Pages that were asked for before the last purge are not wanted.
  private var epoch = 0

  /// - Parameter stored: what an earlier process has left in the store
  init(priority: UInt8, of queue: Queue, stored: StoredQueue? = nil) {
    self.priority = priority
    self.queue = queue
    let broker = queue.vhost.broker
    backlog = Backlog(ledger: broker.ledger)
    journal = broker.journal
    keepsMessages = queue.durable && journal != nil
    keepsTransient = queue.type == .quorum
    if let stored {
      self.stored = stored
      stored.owner = self
      lastPosition = stored.lastPosition
      backlog.recover(count: stored.recoveredCount, octets: stored.recoveredOctets, from: stored.head)
    } else if keepsMessages {
      makeStored()
    }
  }

  private func makeStored() {
    guard let journal else { return }
    let made = StoredQueue(number: queue.vhost.broker.nextQueueNumber(), journal: journal)
    made.owner = self
    stored = made
  }

  // hot:
  var isEmpty: Bool { backlog.isEmpty }

  // MARK: in

  /// Gives a message its place; what is to be kept goes to the journal. A consumer that takes it for good makes that
  /// needless.
  // hot:
  @inline(__always)
  func admit(_ message: Message, expires: UInt64, takenBy consumer: Consumer?) -> QueuedMessage {
    lastPosition += 1
    var queued = QueuedMessage(message: message, position: lastPosition)
    queued.priority = priority
    queued.expires = expires
    queued.redelivered = message.header.mayHaveBeenDelivered
    if keepsMessages { keep(&queued, unlessTakenBy: consumer) }
    return queued
  }

  // hot:
  private func keep(_ queued: inout QueuedMessage, unlessTakenBy consumer: Consumer?) {
    guard let stored else { return }
    if queued.message.isPersistent || keepsTransient, !(consumer?.noAck ?? false) {
      queued.ticket = stored.append(queued.message, at: queued.position, extra: queued.extra)
      if consumer != nil { stored.delivered(queued) }
    } else {
      stored.passed(queued.position)
    }
  }

  /// Behind all others.
  // hot:
  func append(_ queued: QueuedMessage) {
    if backlog.hasRoom || journal == nil { backlog.append(queued) } else { pageOut(queued) }
  }

  /// Memory is full: the message waits in the store.
  private func pageOut(_ queued: QueuedMessage) {
    var queued = queued
    if queued.ticket == 0 {
      if stored == nil { makeStored() }
      queued.ticket = stored?.appendTransient(queued.message, at: queued.position, extra: queued.extra) ?? 0
      queued.isPagedOut = true
    }
    backlog.appendBehind(queued)
  }

  /// To where it was.
  func putBack(_ queued: QueuedMessage) { backlog.putBack(queued) }

  /// Before all others; the store notes how often it came back.
  func putFirst(_ queued: QueuedMessage) {
    var back = queued
    if let stored, queued.ticket != 0 {
      back.ticket = stored.rewrite(queued, as: queued.message, extra: queued.extra ?? StoredExtra())
    }
    backlog.putFirst(back)
  }

  /// Behind all others, as if it came now.
  func moveToEnd(_ queued: QueuedMessage) {
    lastPosition += 1
    var back = QueuedMessage(message: queued.message, position: lastPosition)
    back.priority = priority
    back.expires = queued.expires
    back.redelivered = true
    back.deliveryCount = queued.deliveryCount
    if let stored, queued.ticket != 0 {
      back.ticket = stored.append(back.message, at: back.position, extra: back.extra)
      stored.remove(queued)
    }
    append(back)
  }

  // MARK: out

  /// The next message, if it is in memory and the store knows that it may be delivered; else the queue is told when
  /// it is and does.
  // hot:
  func takeFirst() -> QueuedMessage? {
    guard let stored else { return backlog.popFirst() }
    if backlog.wantsPage { read(stored) }
    guard let first = backlog.first, stored.mayDeliver(first) else { return nil }
    stored.delivered(first)
    return takenFromStore(backlog.popFirst(), stored)
  }

  /// The next message will be taken soon, if it is in memory.
  func announceFirst() {
    if let stored, let first = backlog.first { _ = stored.mayDeliver(first) }
  }

  /// The next message, that nobody is to get, if it is in memory; else the queue is told when it is.
  /// - Parameter movesOn: it may be delivered from where it goes, before it has left here
  func dropFirst(movesOn: Bool) -> QueuedMessage? {
    guard !movesOn, let stored else { return takeFirst() }
    if backlog.wantsPage { read(stored) }
    return takenFromStore(backlog.popFirst(), stored)
  }

  @inline(__always)
  private func takenFromStore(_ first: QueuedMessage?, _ stored: StoredQueue) -> QueuedMessage? {
    guard var queued = first, queued.isPagedOut else { return first }
    stored.remove(queued)
    queued.ticket = 0
    queued.isPagedOut = false
    return queued
  }

  /// An earlier process may have given it on, and somebody may have seen it there.
  func mayHaveLeft(_ queued: QueuedMessage) -> Bool {
    guard let stored, queued.ticket != 0 else { return false }
    return queued.message.header.mayHaveBeenDelivered || queued.position <= stored.recoveredUpTo
  }

  /// The message is not in the queue any more.
  // hot:
  @inline(__always)
  func leave(_ queued: QueuedMessage) {
    if queued.ticket != 0 { stored?.remove(queued) }
  }

  /// Drops what is ready.
  func purge() {
    if let stored, backlog.paged.count > 0 {
      stored.remove(
        backlog.pagedPositions(below: lastPosition + 1), durable: backlog.paged.durable,
        octets: backlog.paged.octets)
    }
    backlog.removeAll { leave($0) }
    epoch += 1
  }

  /// The queue is gone.
  func close() {
    backlog.removeAll()
    epoch += 1
    guard let stored else { return }
    stored.owner = nil
    journal?.drop(stored)
  }

  // MARK: the store

  /// The message at a position is another now, or comes back at another time.
  func rewrite(_ queued: QueuedMessage, as message: Message, dueMilliseconds: UInt64) -> QueuedMessage {
    var back = queued
    back.message = message
    guard queued.ticket != 0, let stored else { return back }
    // It comes back as one that was delivered.
    let extra = StoredExtra(
      dueMilliseconds: dueMilliseconds, expiresMilliseconds: queued.expires, isRedelivered: true,
      note: queued.note)
    back.ticket = stored.rewrite(queued, as: message, extra: extra)
    return back
  }

  /// Memory lets go of a message that is delivered and not settled.
  /// - Returns: false if the store does not have it yet
  func letGo(of queued: inout QueuedMessage) -> Bool {
    guard let journal, queued.ticket <= journal.settled else { return false }
    queued.goAway()
    return true
  }

  /// The first message has to be looked at: it is read, if it is not in memory.
  func lookAtFirst() {
    if backlog.first == nil, !backlog.isEmpty, let stored { read(stored) }
  }

  var isRejecting: Bool { !rejected.isEmpty }

  /// A message is rejected for good, and has to be read for that, or one before it.
  func reject(away queued: QueuedMessage) {
    guard let stored else { return }
    rejected.insert(queued)
    read(stored)
  }

  /// Asks for what is needed next, unless an answer is under way.
  private func read(_ stored: StoredQueue) {
    guard !isReading else { return }
    if let positions = backlog.awaited {
      readAway(stored, positions) { [self] in backlog.take($0, awaitedAt: positions) }
    } else if backlog.paged.count > 0, backlog.wantsPage || backlog.first == nil {
      readPage(stored)
    } else if let positions = rejected.positions {
      readAway(stored, positions) { [self] in takeRejected($0, of: positions) }
    }
  }

  /// Reads what was delivered and comes back.
  /// - Parameter take: gives back what is not there
  private func readAway(
    _ stored: StoredQueue, _ positions: Range<UInt64>,
    _ take: @escaping (StorePageRead) -> [QueuedMessage]
  ) {
    let page = StorePage(
      queue: stored.number, positions: positions, mostMessages: Backlog.pageMessages,
      mostOctets: Backlog.pageOctets, respectsRanges: false)
    ask(page, of: stored) { [self] read in
      if let problem = read.problem { log(problem) }
      let missing = take(read)
      guard !missing.isEmpty else { return }
      log("\(missing.count) messages are not in the store")
      for queued in missing { stored.remove(queued) }
    }
  }

  private func takeRejected(_ read: StorePageRead, of positions: Range<UInt64>) -> [QueuedMessage] {
    var found: [QueuedMessage] = []
    var missing: [QueuedMessage] = []
    for (queued, message) in rejected.take(read, of: positions) {
      if let message { found.append(queued.back(as: message)) } else { missing.append(queued) }
    }
    let rest = rejected
    rejected = Away()
    for queued in found { queue.die(queued, .rejected) }
    rejected = rest
    return missing
  }

  private func readPage(_ stored: StoredQueue) {
    backlog.pageIsAsked()
    let paged = backlog.paged
    let positions = backlog.pagedPositions(below: lastPosition + 1)
    let page = StorePage(
      queue: stored.number, positions: positions, mostMessages: Backlog.pageMessages,
      mostOctets: Backlog.pageOctets, hasDurable: paged.durable > 0,
      hasTransient: paged.durable < paged.count,
      respectsRanges: positions.lowerBound < stored.holesBelow)
    ask(page, of: stored) { [self, epoch] read in
      if epoch == self.epoch { take(read, of: stored, positions) }
    }
  }

  private func ask(_ page: StorePage, of stored: StoredQueue, _ take: @escaping (StorePageRead) -> Void) {
    isReading = true
    stored.journal.store.read(page) { [self, queue] read in
      isReading = false
      guard !queue.isDeleted else { return }
      take(read)
      queue.hasMore()
      if !rejected.isEmpty { self.read(stored) }
      stored.journal.onProgress()
    }
  }

  private func log(_ problem: String) { queue.vhost.broker.logger.error("\(queue.described): \(problem)") }

  /// A page has come.
  private func take(_ read: StorePageRead, of stored: StoredQueue, _ positions: Range<UInt64>) {
    if let problem = read.problem { log(problem) }
    var next = positions.lowerBound
    var transient: (positions: Range<UInt64>, octets: Int)?
    let now = queue.vhost.broker.clock.wallMilliseconds
    for record in read.records {
      // Between two messages there were others, of which nothing is kept.
      if next < record.position { stored.passed(next..<record.position) }
      next = record.position + 1
      backlog.unpaged(record.message, at: record.position, isDurable: !record.isTransient)
      record.message.header.sharedBody = record.sharedBody
      var queued = QueuedMessage(message: record.message, position: record.position)
      queued.priority = priority
      queued.expires = record.extra.expiresMilliseconds
      if queued.expires != 0 { queue.isExpiring = true }
      queued.redelivered = record.extra.isRedelivered || record.position <= stored.recoveredUpTo
      if !record.extra.note.isEmpty { queued.restore(record.extra.note) }
      if keepsTransient, queued.redelivered { queued.deliveryCount = max(1, queued.deliveryCount) }
      if record.isTransient {
        transient = (
          (transient?.positions.lowerBound ?? record.position)..<next,
          (transient?.octets ?? 0) + record.message.octets.count
        )
      } else {
        queued.ticket = Journal.recovered
      }
      if record.extra.dueMilliseconds > now {
        queue.comeBack(queued, in: Int64(clamping: record.extra.dueMilliseconds - now))
      } else {
        backlog.append(queued)
      }
    }
    if let transient { stored.removeTransient(transient.positions, octets: transient.octets) }
    if read.reachedEnd {
      if next < positions.upperBound { stored.passed(next..<positions.upperBound) }
      let missing = backlog.nothingPaged(below: positions.upperBound)
      if missing.durable != 0 {
        log("\(missing.durable) messages are not in the store")
        stored.correct(count: missing.durable, octets: missing.octets)
      }
    }
    backlog.pageWasRead()
  }

  /// The store has messages up to a ticket, and knows how far they may be delivered.
  func storeSettled(upTo ticket: Journal.Ticket, wasBlocked: Bool) {
    backlog.settled(upTo: ticket)
    if wasBlocked { queue.hasMore() }
  }
}
