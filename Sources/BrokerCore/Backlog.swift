import DequeModule
import HeapModule

/// The messages of a queue that are ready, in order. Knows no consumer and no store.
///
///     front       what a quorum queue got back, before all others
///     returned    a heap, by position       away: the same, but in the store alone
///     window ──> paged ──> tail
///     in memory   in the store alone   in memory until the store has it
///
/// Each message has a position, given when it came and kept for good, so that one that returns goes back to
/// exactly where it was: the next message is the smaller of the heap's and the line's. Only a queue that holds
/// more than it may in memory has a part that is paged.
struct Backlog {
  private var front = Deque<QueuedMessage>()
  private var window = Deque<QueuedMessage>()
  private var returned = Heap<QueuedMessage>()
  private var away = Away()
  private var tail = Deque<QueuedMessage>()
  private(set) var paged = Paged()
  /// Messages of the window when a page had come.
  private var lastPage = 0
  /// Octets of memory.
  private(set) var weight = 0
  /// Of all bodies, wherever they are.
  private(set) var bodyOctets = 0
  private let ledger: Ledger

  /// What is in the store alone: messages from a position on.
  struct Paged {
    var from: UInt64 = 0
    var count = 0
    var durable = 0
    /// Of the durable ones.
    var octets = 0
    var bodyOctets = 0
    /// Of these, what was there when a page was asked for and has not come.
    var asked = (count: 0, durable: 0, octets: 0)
  }

  init(ledger: Ledger) { self.ledger = ledger }

  var count: Int { window.count + returned.count + away.count + paged.count + tail.count + front.count }
  // hot:
  var isEmpty: Bool {
    window.isEmpty && returned.isEmpty && paged.count == 0 && tail.isEmpty && away.isEmpty && front.isEmpty
  }
  /// There is room in memory for what comes, and nothing before it is elsewhere.
  // hot:
  var hasRoom: Bool { paged.count == 0 && tail.isEmpty && ledger.allows(weight) }

  // hot:
  private mutating func weigh(_ queued: QueuedMessage, _ sign: Int) {
    let octets = sign * queued.message.weight
    weight += octets
    bodyOctets += sign * (queued.message.header.bodyCount + Int(queued.octetsAway))
    ledger.add(octets)
  }

  // MARK: in

  // hot:
  mutating func append(_ queued: QueuedMessage) {
    weigh(queued, 1)
    window.append(queued)
  }

  mutating func putBack(_ queued: QueuedMessage) {
    weigh(queued, 1)
    if queued.isAway { away.insert(queued) } else { returned.insert(queued) }
  }

  /// Behind those that came back before it, and before all others.
  mutating func putFirst(_ queued: QueuedMessage) {
    weigh(queued, 1)
    front.append(queued)
  }

  /// It leaves memory when the store has it.
  mutating func appendBehind(_ queued: QueuedMessage) {
    weigh(queued, 1)
    tail.append(queued)
  }

  /// The store has what came up to a ticket.
  mutating func settled(upTo ticket: Journal.Ticket) {
    while let first = tail.first, first.ticket <= ticket {
      tail.removeFirst()
      weigh(first, -1)
      if paged.count == 0 { paged.from = first.position }
      paged.count += 1
      paged.bodyOctets += first.message.header.bodyCount
      bodyOctets += first.message.header.bodyCount
      guard !first.isPagedOut else { continue }
      paged.durable += 1
      paged.octets += first.message.octets.count
    }
  }

  // MARK: out

  /// The first message, if it is in memory.
  // hot:
  var first: QueuedMessage? {
    if let first = front.first { return first }
    let line = window.first ?? (paged.count == 0 ? tail.first : nil)
    guard away.isEmpty || awaited == nil else { return nil }
    guard let back = returned.min else { return line }
    if let line { return line.position < back.position ? line : back }
    return paged.count == 0 || back.position < paged.from ? back : nil
  }

  // hot:
  mutating func popFirst() -> QueuedMessage? {
    guard let first else { return nil }
    weigh(first, -1)
    if !front.isEmpty {
      front.removeFirst()
    } else if let next = window.first, next.position == first.position {
      window.removeFirst()
    } else if let next = tail.first, next.position == first.position {
      tail.removeFirst()
    } else {
      returned.removeMin()
    }
    return first
  }

  /// Takes out all; what is paged is only forgotten.
  mutating func removeAll(_ each: (QueuedMessage) -> Void = { _ in }) {
    for queued in front { each(queued) }
    for queued in window { each(queued) }
    for queued in returned.unordered { each(queued) }
    for queued in away.all { each(queued) }
    for queued in tail { each(queued) }
    ledger.add(-weight)
    self = Backlog(ledger: ledger)
  }

  // MARK: paging

  /// The most of a page. The next one is asked for when half of the last has gone.
  static let pageOctets = 1_048_576
  static let pageMessages = 4096

  // hot:
  var wantsPage: Bool {
    paged.count > 0 && window.count * 2 <= lastPage || !away.isEmpty && awaited != nil
  }

  /// Positions to read, if the first message of all came back and is in the store alone.
  // hot:
  var awaited: Range<UInt64>? {
    guard let first = away.first else { return nil }
    let others = min(
      window.first?.position ?? .max, returned.min?.position ?? .max, tail.first?.position ?? .max,
      paged.count == 0 ? .max : paged.from)
    return first.position < others ? away.positions : nil
  }

  /// What came back has been read.
  /// - Returns: what should have been there, and is forgotten
  mutating func take(_ read: StorePageRead, awaitedAt positions: Range<UInt64>) -> [QueuedMessage] {
    var missing: [QueuedMessage] = []
    for (queued, message) in away.take(read, of: positions) {
      weigh(queued, -1)
      guard let message else {
        missing.append(queued)
        continue
      }
      putBack(queued.back(as: message))
    }
    return missing
  }

  mutating func pageIsAsked() { paged.asked = (paged.count, paged.durable, paged.octets) }

  mutating func pageWasRead() { lastPage = window.count }

  /// Positions of what is paged.
  func pagedPositions(below end: UInt64) -> Range<UInt64> {
    paged.from..<max(paged.from, tail.first?.position ?? end)
  }

  /// There are such messages in the store, of an earlier process.
  mutating func recover(count: Int, octets: Int, from position: UInt64) {
    // How much of it is bodies is known when they are read.
    paged = Paged(from: position, count: count, durable: count, octets: octets, bodyOctets: octets)
    bodyOctets = octets
  }

  /// The first of what is paged has been read. It is not in the window yet.
  mutating func unpaged(_ message: Message, at position: UInt64, isDurable: Bool) {
    let body = min(message.header.bodyCount, paged.bodyOctets)
    paged.bodyOctets -= body
    bodyOctets -= body
    paged.from = position + 1
    paged.count -= 1
    paged.asked.count -= 1
    if isDurable {
      let octets = message.octets.count
      paged.durable -= 1
      paged.octets -= octets
      paged.asked.durable -= 1
      paged.asked.octets -= octets
    }
    if paged.count == 0 { forgetPagedOctets() }
  }

  private mutating func forgetPagedOctets() {
    bodyOctets -= paged.bodyOctets
    paged.bodyOctets = 0
  }

  /// There is nothing more to read below a position. What the store got meanwhile is behind it.
  /// - Returns: what was counted and is not there
  mutating func nothingPaged(below position: UInt64) -> (durable: Int, octets: Int) {
    let missing = paged.asked
    paged.count -= missing.count
    paged.durable -= missing.durable
    paged.octets -= missing.octets
    paged.from = position
    if paged.count == 0 { forgetPagedOctets() }
    return (missing.durable, missing.octets)
  }
}

/// A message in one queue.
public struct QueuedMessage: Comparable {
  public var message: Message
  /// Grows with each message of a queue; never given twice.
  public let position: UInt64
  /// In the journal, if it was given to it.
  var ticket: Journal.Ticket = 0
  /// When it has to leave, in milliseconds since 1970; 0: never.
  var expires: UInt64 = 0
  /// Of its queue's levels.
  var priority: UInt8 = 0
  public var redelivered = false
  /// How often it came back; only quorum queues count.
  public var deliveryCount: UInt32 = 0
  /// A filter failed on it once.
  var filterFailed = false
  /// The journal has it to make room in memory, not to keep it.
  var isPagedOut = false
  /// Of a message that the store alone has, its octets; 0: it is here.
  private(set) var octetsAway: UInt32 = 0

  // hot:
  var isAway: Bool { octetsAway != 0 }
  /// Of the message, wherever it is.
  // hot:
  var octetCount: Int { isAway ? Int(octetsAway) : message.octets.count }

  /// The message, if it is here.
  var present: Message? { isAway ? nil : message }

  /// The store has it, and so memory need not.
  mutating func goAway() {
    octetsAway = UInt32(clamping: message.octets.count)
    message = .empty(of: message.header.sharedBody)
  }

  func back(as read: Message) -> QueuedMessage {
    var back = self
    back.octetsAway = 0
    back.message = read
    return back
  }

  /// What the store keeps beside it; mostly nothing.
  // hot:
  var extra: StoredExtra? {
    guard expires != 0 || redelivered else { return nil }
    return StoredExtra(expiresMilliseconds: expires, isRedelivered: redelivered, note: note)
  }

  /// The count of its deliveries, as the store keeps it.
  var note: [UInt8] { deliveryCount == 0 ? [] : withUnsafeBytes(of: deliveryCount.bigEndian) { Array($0) } }

  /// - Parameter note: what `note` was
  mutating func restore(_ note: [UInt8]) {
    guard note.count == 4 else { return }
    deliveryCount = note.reduce(0) { $0 << 8 | UInt32($1) }
  }

  public static func == (left: QueuedMessage, right: QueuedMessage) -> Bool {
    left.position == right.position
  }
  public static func < (left: QueuedMessage, right: QueuedMessage) -> Bool { left.position < right.position }
}
