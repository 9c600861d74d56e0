import AMQPWire

/// Whose messages are in the store: hears that they are.
protocol StoredQueueOwner: AnyObject {
  /// The store has messages up to a ticket; deliveries waited for it.
  func storeSettled(upTo ticket: Journal.Ticket, wasBlocked: Bool)
}

/// A queue as the store has it: which of its messages are kept, and how far it was delivered. Knows no consumer.
///
/// It gathers what has changed since the last batch; `takeChange` makes one change of the store of it, in which the
/// acknowledged front of a queue is one range, however many messages it held.
final class StoredQueue {
  let number: UInt64
  let journal: Journal
  /// Nil for messages that are in no queue yet, and when the queue is gone.
  var owner: (any StoredQueueOwner)?
  /// Of a stream that an earlier process has left.
  var segments: [StreamSegments.Segment] = []

  /// As it is in the store when the batch that is being written is safe.
  private var cursor: StoreCursor
  private var frontier: Frontier
  /// Durable messages in the open batch.
  private var openCount = 0
  private var openOctets = 0

  /// Stands in the journal's list.
  var isTouched = false
  /// It was dropped: nothing of it is written any more.
  var isGone = false
  /// Something that is no new message has changed.
  private(set) var hasNews = false
  private var frontRemoved = false
  private var removed: [UInt64] = []
  private var removedRanges: [Range<UInt64>] = []
  private var removedTransient: [Range<UInt64>] = []
  private var removedOctets = 0
  private var released: [(body: SharedBody, position: UInt64)] = []

  /// Messages up to here may be delivered: should the process die, they come back as redelivered.
  private var safeUpTo: UInt64
  private var wantedUpTo: UInt64
  /// How far ahead of what is delivered the store is told so; grows while deliveries wait for it.
  private var stride: UInt64 = 8
  private static let mostStride: UInt64 = 1024
  private var isBlocked = false
  /// The highest position that was delivered.
  private var deliveredUpTo: UInt64
  /// An earlier process has delivered up to here.
  let recoveredUpTo: UInt64

  init(number: UInt64, journal: Journal, cursor: StoreCursor = StoreCursor()) {
    self.number = number
    self.journal = journal
    self.cursor = cursor
    frontier = Frontier(head: cursor.head)
    safeUpTo = cursor.deliveredUpTo
    wantedUpTo = cursor.deliveredUpTo
    deliveredUpTo = cursor.deliveredUpTo
    recoveredUpTo = cursor.deliveredUpTo
  }

  /// The highest position that was given, or may have been.
  var lastPosition: UInt64 { max(cursor.tail, cursor.deliveredUpTo) }
  var recoveredCount: Int { cursor.count }
  var recoveredOctets: Int { cursor.octets }
  var head: UInt64 { frontier.head }
  /// Ranges in the middle have been removed below.
  var holesBelow: UInt64 { cursor.holesBelow }

  // MARK: messages in

  // hot:
  func append(_ message: Message, at position: UInt64, extra: StoredExtra? = nil) -> Journal.Ticket {
    openCount += 1
    openOctets += message.octets.count
    cursor.tail = max(cursor.tail, position)
    journal.touch(self)
    return journal.append(
      StoreRecord(
        queue: number, position: position, message: message, extra: extra ?? StoredExtra()))
  }

  /// Not to be kept, but not to be held in memory either.
  func appendTransient(_ message: Message, at position: UInt64, extra: StoredExtra?) -> Journal.Ticket {
    journal.touch(self)
    return journal.append(
      StoreRecord(
        queue: number, position: position, message: message, isTransient: true, extra: extra ?? StoredExtra())
    )
  }

  /// The message at a position is another now, or is due at another time.
  func rewrite(_ queued: QueuedMessage, as message: Message, extra: StoredExtra) -> Journal.Ticket {
    if journal.isOpen(queued.ticket) {
      journal.withdraw(queued.ticket)
      openCount -= 1
      openOctets -= queued.message.octets.count
    } else {
      cursor.count -= 1
      cursor.octets -= queued.message.octets.count
      if let body = queued.message.header.sharedBody { released.append((body, queued.position)) }
    }
    return append(message, at: queued.position, extra: extra)
  }

  /// Nothing is kept at a position.
  // hot:
  func passed(_ position: UInt64) { frontier.remove(position) }
  func passed(_ positions: Range<UInt64>) { frontier.remove(positions) }

  // MARK: messages out

  // hot:
  func remove(_ queued: QueuedMessage) {
    let position = queued.position
    if journal.isOpen(queued.ticket) {
      journal.withdraw(queued.ticket)
      if queued.isPagedOut { return }
      openCount -= 1
      openOctets -= queued.message.octets.count
      return frontier.remove(position)
    }
    let octets = queued.octetCount
    guard !queued.isPagedOut else { return removeTransient(position..<position + 1, octets: octets) }
    cursor.count -= 1
    cursor.octets -= octets
    removedOctets += octets
    if let body = queued.message.header.sharedBody { released.append((body, position)) }
    if position == frontier.head { frontRemoved = true } else { removed.append(position) }
    frontier.remove(position)
    news()
  }

  /// All that is in the store between two positions goes.
  func remove(_ positions: Range<UInt64>, durable count: Int, octets: Int) {
    cursor.count -= count
    cursor.octets -= octets
    removedOctets += octets
    removedRanges.append(positions)
    removedTransient.append(positions)
    frontier.remove(positions)
    if frontier.head < positions.upperBound { cursor.holesBelow = positions.upperBound }
    news()
  }

  func removeTransient(_ positions: Range<UInt64>, octets: Int) {
    removedOctets += octets
    removedTransient.append(positions)
    news()
  }

  /// Fewer messages were found than were counted.
  func correct(count: Int, octets: Int) {
    cursor.count -= count
    cursor.octets -= octets
    news()
  }

  // hot:
  private func news() {
    hasNews = true
    journal.touch(self)
  }

  // MARK: deliveries

  /// Whether a message may be delivered. If the store has it already, the store has to know first that it may have
  /// been delivered; `Queue.storeSettled` is called when it does.
  // hot:
  func mayDeliver(_ queued: QueuedMessage) -> Bool {
    if queued.ticket == 0 || queued.isPagedOut || queued.position <= safeUpTo { return true }
    if journal.isOpen(queued.ticket) { return true }
    if !isBlocked { stride = min(stride * 2, Self.mostStride) }
    isBlocked = true
    if wantedUpTo < queued.position {
      wantedUpTo = queued.position + stride
      news()
    }
    return false
  }

  // hot:
  func delivered(_ queued: QueuedMessage) {
    guard queued.ticket != 0, !queued.isPagedOut else { return }
    deliveredUpTo = max(deliveredUpTo, queued.position)
    if journal.isOpen(queued.ticket) {
      // It is written with its message.
      wantedUpTo = max(wantedUpTo, queued.position)
    } else if queued.position + stride / 2 > wantedUpTo {
      wantedUpTo = queued.position + stride
      news()
    }
  }

  /// Nothing more is delivered: what was announced and did not happen is taken back.
  func endDeliveries() {
    guard wantedUpTo > deliveredUpTo || cursor.deliveredUpTo > deliveredUpTo else { return }
    wantedUpTo = deliveredUpTo
    cursor.deliveredUpTo = deliveredUpTo
    news()
  }

  // MARK: the journal's calls

  func takeChange(withMessages: Bool) -> StoreBatch.QueueChange {
    if withMessages {
      cursor.count += openCount
      cursor.octets += openOctets
      (openCount, openOctets) = (0, 0)
    }
    let head = frontier.head
    var change = StoreBatch.QueueChange(queue: number, cursor: nil)
    swap(&change.removedRanges, &removedRanges)
    if frontRemoved || removed.contains(where: { $0 < head }) {
      change.removedRanges.append(cursor.head..<head)
      removed.removeAll { $0 < head }
    }
    swap(&change.removedPositions, &removed)
    swap(&change.removedTransient, &removedTransient)
    swap(&change.releasedBodies, &released)
    swap(&change.removedOctets, &removedOctets)
    frontRemoved = false
    hasNews = false
    cursor.head = head
    // Nothing of the last positions was kept perhaps, and they were given all the same.
    cursor.tail = max(cursor.tail, head - 1)
    cursor.deliveredUpTo = max(cursor.deliveredUpTo, wantedUpTo)
    if cursor.holesBelow <= head { cursor.holesBelow = 0 }
    change.cursor = cursor
    return change
  }

  var hasOpenMessages: Bool { openCount > 0 }

  /// A change that was taken is safe, and so are messages up to a ticket.
  func settled(upTo ticket: Journal.Ticket) {
    safeUpTo = cursor.deliveredUpTo
    let wasBlocked = isBlocked
    isBlocked = false
    owner?.storeSettled(upTo: ticket, wasBlocked: wasBlocked)
  }
}
