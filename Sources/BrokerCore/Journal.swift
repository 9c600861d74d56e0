import AMQPWire

/// What is to be kept and is not safe yet: the open batch, and the one that the store is writing. Knows no disk.
///
///     append, remove, define ──> open batch ──turnEnded──> store ──settled──> confirms, answers, queues
///
/// The store has one batch at a time. While it writes, the next one fills: an idle broker writes at once, a busy one
/// when the last write is done, and however many messages came meanwhile cost one sync. A message that is
/// acknowledged while it is still in the open batch is never written at all.
public final class Journal {
  /// The number of a message that was given to the journal, in order; 0: it was not.
  public typealias Ticket = UInt64

  /// Of messages that were read from the store.
  static let recovered: Ticket = 1

  let store: any MessageStore
  private let deadlines: Deadlines

  /// The open batch. What is not wanted any more is empty.
  private var records: ContiguousArray<StoreRecord> = []
  /// The ticket of the first of them.
  private var firstOpen: Ticket = recovered + 1
  private var live = 0
  private var octets = 0
  private var definitions: [(key: [UInt8], value: [UInt8]?)] = []
  private var touched: [StoredQueue] = []
  private var doomed: [StoreBatch.QueueChange] = []

  private struct Flight {
    let lastTicket: Ticket
    let lastDefinition: UInt64
    let queues: [StoredQueue]
  }
  private var flight: Flight?

  /// Messages up to this one are safe.
  public private(set) var settled: Ticket = recovered
  private var lastDefinition: UInt64 = 0
  private var settledDefinition: UInt64 = 0
  private var waiting: [(ticket: Ticket, body: () -> Void)] = []
  private var waitingForDefinitions: [(number: UInt64, body: () -> Void)] = []

  /// Connections have something to send.
  public var onProgress: () -> Void = {}
  /// The store can go on no more.
  public var onFailure: (String) -> Void = { _ in }
  /// The store has no room for more messages, or has again (nil).
  public var onAlarm: (String?) -> Void = { _ in }
  public private(set) var alarm: String?
  private var failure: String?
  private var isClosed = false
  private var triesAgain = false

  /// Octets of messages that may wait for the store; then publishers wait. A batch of that size is written in some
  /// tens of milliseconds.
  static let mostOctets = 33_554_432
  /// A body from this size on is kept once for all its queues: it costs a read more.
  static let sharedFrom = 4096
  private static let retryMilliseconds: Int64 = 500

  init(_ store: any MessageStore, deadlines: Deadlines) {
    self.store = store
    self.deadlines = deadlines
  }

  // MARK: what changes

  /// The last message that was given.
  // hot:
  public var lastTicket: Ticket { firstOpen + Ticket(records.count) - 1 }

  /// True while so much waits for the store, or there is so little room, that publishers have to wait too.
  // hot:
  public var holdsPublishers: Bool { octets > Self.mostOctets || alarm != nil }

  // hot:
  func append(_ record: StoreRecord) -> Ticket {
    records.append(record)
    live += 1
    octets += record.message.weight
    return lastTicket
  }

  // hot:
  func isOpen(_ ticket: Ticket) -> Bool { ticket >= firstOpen }

  /// A message of the open batch is not wanted any more.
  // hot:
  func withdraw(_ ticket: Ticket) {
    let index = Int(ticket - firstOpen)
    guard !records[index].isEmpty else { return }
    live -= 1
    octets -= records[index].message.weight
    records[index] = .empty
  }

  func define(_ key: [UInt8], _ value: [UInt8]?) {
    definitions.append((key, value))
    lastDefinition += 1
  }

  // hot:
  func touch(_ queue: StoredQueue) {
    guard !queue.isTouched else { return }
    queue.isTouched = true
    touched.append(queue)
  }

  /// The queue goes, with all that it has in the store.
  func drop(_ queue: StoredQueue) {
    if queue.isTouched {
      for index in records.indices where records[index].queue == queue.number {
        withdraw(firstOpen + Ticket(index))
      }
    }
    queue.isGone = true
    doomed.append(StoreBatch.QueueChange(queue: queue.number, cursor: nil))
  }

  // MARK: waiting

  /// Does something when a message is safe: at once if it is.
  public func whenSettled(_ ticket: Ticket, _ body: @escaping () -> Void) {
    guard ticket > settled else { return body() }
    waiting.append((ticket, body))
  }

  public var hasOpenDefinitions: Bool { lastDefinition > settledDefinition }

  /// Does something when all definitions up to now are safe.
  public func whenDefined(_ body: @escaping () -> Void) {
    guard hasOpenDefinitions else { return body() }
    waitingForDefinitions.append((lastDefinition, body))
  }

  /// Nothing waits for the store.
  public var isIdle: Bool {
    flight == nil && live == 0 && definitions.isEmpty && touched.isEmpty && doomed.isEmpty || failure != nil
  }

  // MARK: writing

  /// Hands the open batch to the store, unless it is busy: after each read batch.
  /// - Returns: whether something became safe at once, so that there may be more to send
  // hot:
  public func turnEnded() -> Bool {
    guard flight == nil, !records.isEmpty || !touched.isEmpty || !definitions.isEmpty || !doomed.isEmpty
    else { return false }
    return write()
  }

  private func write() -> Bool {
    guard failure == nil, !isClosed else { return false }
    switch store.room(for: octets) {
    case .enough:
      setAlarm(nil)
      return commit(withMessages: true)
    case .low(let text):
      setAlarm(text)
      tryAgainLater()
      // What makes room, and what consumers need to go on.
      guard !definitions.isEmpty || !doomed.isEmpty || touched.contains(where: \.hasNews) else {
        return false
      }
      return commit(withMessages: false)
    case .none(let text):
      setAlarm(text)
      tryAgainLater()
      return false
    }
  }

  private func commit(withMessages: Bool) -> Bool {
    var batch = StoreBatch()
    swap(&batch.definitions, &definitions)
    var lastTicket = settled
    if withMessages {
      lastTicket = self.lastTicket
      batch.records = takeRecords()
    }
    let queues = takeTouched(withMessages: withMessages)
    for queue in queues { batch.queues.append(queue.takeChange(withMessages: withMessages)) }
    batch.queues += doomed
    doomed = []
    let done = Flight(lastTicket: lastTicket, lastDefinition: lastDefinition, queues: queues)
    guard !batch.isEmpty else {
      settle(done)
      return true
    }
    flight = done
    store.commit(batch) { [self] outcome in
      switch outcome {
      case .settled:
        flight = nil
        settle(done)
        // Sends what this has brought about, and hands over what has come meanwhile.
        onProgress()
      case .failed(let reason):
        failure = reason
        onFailure(reason)
      }
    }
    return false
  }

  /// Queues that have changed. Those whose messages have to wait stay in the list.
  private func takeTouched(withMessages: Bool) -> [StoredQueue] {
    var taken: [StoredQueue] = []
    var left: [StoredQueue] = []
    for queue in touched where !queue.isGone {
      let isTaken = withMessages || queue.hasNews
      if isTaken { taken.append(queue) }
      queue.isTouched = !withMessages && (!isTaken || queue.hasOpenMessages)
      if queue.isTouched { left.append(queue) }
    }
    touched = left
    return taken
  }

  private func takeRecords() -> ContiguousArray<StoreRecord> {
    var taken: ContiguousArray<StoreRecord> = []
    swap(&taken, &records)
    firstOpen += Ticket(taken.count)
    records.reserveCapacity(min(taken.count, 4096))
    if live < taken.count { taken.removeAll(where: \.isEmpty) }
    live = 0
    octets = 0
    shareBodies(&taken)
    return taken
  }

  /// A publish gives its message to one queue after the other, so those that share it stand together.
  private func shareBodies(_ records: inout ContiguousArray<StoreRecord>) {
    var start = 0
    while start < records.count {
      let message = records[start].message
      var end = start + 1
      while end < records.count, records[end].message === message { end += 1 }
      if end - start > 1, message.header.bodyCount >= Self.sharedFrom, message.header.sharedBody == nil,
        !records[start..<end].contains(where: \.isTransient)
      {
        let body = SharedBody(queue: records[start].queue, position: records[start].position)
        message.header.sharedBody = body
        for index in start..<end { records[index].sharedBody = body }
      }
      start = end
    }
  }

  private func settle(_ flight: Flight) {
    settled = max(settled, flight.lastTicket)
    settledDefinition = max(settledDefinition, flight.lastDefinition)
    let done = waiting.filter { $0.ticket <= settled }
    if !done.isEmpty { waiting.removeAll { $0.ticket <= settled } }
    for entry in done { entry.body() }
    let defined = waitingForDefinitions.filter { $0.number <= settledDefinition }
    if !defined.isEmpty { waitingForDefinitions.removeAll { $0.number <= settledDefinition } }
    for entry in defined { entry.body() }
    for queue in flight.queues where !queue.isGone { queue.settled(upTo: settled) }
  }

  private func setAlarm(_ text: String?) {
    guard (alarm == nil) != (text == nil) else { return }
    alarm = text
    onAlarm(text)
  }

  private func tryAgainLater() {
    guard !triesAgain else { return }
    triesAgain = true
    deadlines.after(milliseconds: Self.retryMilliseconds) { [self] in
      triesAgain = false
      onProgress()
    }
  }

  /// The last call: what was not handed over is not kept.
  public func close() {
    isClosed = true
    store.close()
  }
}
