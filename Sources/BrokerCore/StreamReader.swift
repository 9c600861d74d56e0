import AMQPWire
import DequeModule

/// A consumer's place in a stream, and the page that it reads where the stream has left memory. Knows no other reader.
///
///     begin ──place found──> next ──> page from the store ──> what is in memory ──> waits for more
final class StreamReader {
  private unowned let stream: Stream
  private unowned let queue: Queue
  unowned let consumer: Consumer
  private let filter: StreamFilter?
  private let journal: Journal?
  private let ledger: Ledger

  /// The offset that it is given next, or the first that fits after it; nil while its place is looked for.
  private(set) var next: UInt64?
  /// What was read of the store, from `next` on.
  private var page: Deque<(offset: UInt64, message: Message)> = []
  /// Up to there the store was read.
  private var pageEnd: UInt64 = 0
  /// Messages of the page when it had come.
  private var lastPage = 0
  private var weight = 0
  private var isReading = false
  private var hasEnded = false
  private var looksAgain = false

  /// The most of a page. The next one is asked for when half of the last has gone.
  private static let pageOctets = 524_288
  private static let pageMessages = 4096
  /// Messages that a filter passes over before others have their turn.
  private static let mostPassedOver = 1000

  init(of stream: Stream, queue: Queue, consumer: Consumer) {
    self.stream = stream
    self.queue = queue
    self.consumer = consumer
    filter = StreamFilter(consumer.arguments)
    journal = queue.vhost.broker.journal
    ledger = queue.vhost.broker.ledger
  }

  /// A place below the first message is the first, and one that is not there yet is waited for.
  func begin(at place: StreamOffset) {
    switch place {
    case .first: next = stream.first
    case .last: next = stream.lastBatch
    case .next: next = stream.next
    case .offset(let offset): next = offset
    case .since(let time):
      switch stream.find(time) {
      case .now(let found): next = found
      case .later(let pending):
        pending.whenAnswered { [self] found in
          guard !hasEnded else { return }
          next = found
          _ = deliver()
          journal?.onProgress()
        }
      }
    }
  }

  func end() {
    hasEnded = true
    dropPage()
  }

  private func dropPage() {
    ledger.add(-weight)
    weight = 0
    page = []
    lastPage = 0
  }

  // MARK: out

  /// Delivers as long as there are messages and credit.
  /// - Returns: whether there could be more, and the share was the reason to stop
  // hot:
  func deliver(atMost share: Int = .max) -> Bool {
    var left = share
    var mayPassOver = Self.mostPassedOver
    while consumer.hasCredit, let message = takeNext() {
      if let filter, !filter.matches(message) {
        mayPassOver -= 1
        if mayPassOver == 0 { return lookAgain() }
        continue
      }
      queue.hand(message, toReaderOf: stream, consumer)
      left -= 1
      if left == 0 { return true }
    }
    return false
  }

  /// Others have their turn first.
  private func lookAgain() -> Bool {
    guard !looksAgain else { return false }
    looksAgain = true
    queue.vhost.broker.deadlines.after(milliseconds: 0) { [self] in
      looksAgain = false
      if !hasEnded { _ = deliver() }
    }
    return false
  }

  /// The next message, if it is in memory; else it is asked for.
  // hot:
  private func takeNext() -> Message? {
    guard var offset = next else { return nil }
    if page.isEmpty {
      // What was given up meanwhile is not there any more.
      if offset < stream.first { offset = stream.first }
      if let message = stream.entry(at: offset) {
        next = offset + 1
        return message
      }
      next = offset
      if offset < stream.tailFirst { readPage(from: offset) }
      return nil
    }
    let first = page.removeFirst()
    weight -= first.message.weight
    ledger.add(-first.message.weight)
    next = first.offset + 1
    if page.isEmpty { next = max(pageEnd, first.offset + 1) }
    if page.count * 2 <= lastPage, pageEnd < stream.tailFirst { readPage(from: pageEnd) }
    return first.message
  }

  private func readPage(from offset: UInt64) {
    guard !isReading, let stored = stream.stored, let journal else { return }
    isReading = true
    let end = stream.tailFirst
    let start = max(offset, stream.first)
    let wanted = StorePage(
      queue: stored.number, positions: start + 1..<end + 1, mostMessages: Self.pageMessages,
      mostOctets: Self.pageOctets, respectsRanges: false)
    journal.store.read(wanted) { [self] read in
      isReading = false
      guard !hasEnded else { return }
      take(read, upTo: end)
      _ = deliver()
      journal.onProgress()
    }
  }

  private func take(_ read: StorePageRead, upTo end: UInt64) {
    if let problem = read.problem { queue.vhost.broker.logger.error("\(queue.described): \(problem)") }
    let start = page.last.map { $0.offset + 1 } ?? next ?? 0
    // Below it there may be some that were given up meanwhile.
    for record in read.records where record.position > start {
      page.append((record.position - 1, record.message))
      weight += record.message.weight
      ledger.add(record.message.weight)
    }
    // Where there is nothing more, there is nothing before the end: what the store lost is passed over.
    pageEnd = read.reachedEnd ? end : read.records.last.map(\.position) ?? end
    lastPage = page.count
    if page.isEmpty { next = max(next ?? 0, pageEnd) }
  }
}

extension Queue {
  /// A message of the stream, where it stays: who acknowledges it gives back credit, and no more.
  // hot:
  fileprivate func hand(_ message: Message, toReaderOf stream: Stream, _ consumer: Consumer) {
    var shown = message
    if !deliverFilters.isEmpty {
      guard let seen = filtered(message, forReader: consumer.identity) else { return }
      shown = seen
    }
    if vhost.isTraced { vhost.traceDelivery(shown, of: self, redelivered: false, to: consumer) }
    consumer.take(stream.credit, showing: shown)
  }

  /// - Returns: nil if it does not get the message: whatever a filter has against it, it is passed over
  private func filtered(_ message: Message, forReader identity: Identity) -> Message? {
    var shown = message
    let context = FilterContext(vhost: vhost, identity: identity, queue: self)
    for filter in deliverFilters {
      switch filter.run(shown, context) {
      case .pass, .throttled: continue
      case .changed(let changed): shown = changed
      case .dropped, .denied, .delayed, .failed: return nil
      }
    }
    return shown
  }
}
