/// Where durable things are kept: what the journal hands over, and how it is read again. Knows no queue, no disk.
///
/// A store takes batches, one after the other, and says on the core loop when one is safe. The journal is what
/// makes batches: it knows what is open, and a store only has to be all or nothing. Queues are numbers here, never
/// given twice; a message of a queue is at a position, never given twice either. So reading a queue is one forward
/// scan, and acknowledging from its front is one range.
public protocol MessageStore: AnyObject {
  /// What was kept by an earlier process. Asked for once, before all else.
  /// - Throws: `StoreError`, with a text for the operator
  func recover() throws(StoreError) -> RecoveredStore

  /// Whether there is room for so many octets more, asked before each commit.
  func room(for octets: Int) -> StoreRoom

  /// Takes a batch, all of it or nothing. The octets of its messages are read during the call.
  /// - Parameter done: called once on the core loop, never during the call, and in the order of the calls
  func commit(_ batch: StoreBatch, _ done: @escaping (StoreOutcome) -> Void)

  /// Reads messages of a queue in the order of their positions.
  /// - Parameter done: called once on the core loop, never during the call
  func read(_ page: StorePage, _ done: @escaping (StorePageRead) -> Void)

  /// Waits for what was handed over, and lets go of everything. `done` of a commit may not be called any more.
  func close()
}

public struct StoreError: Error, Equatable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

public enum StoreRoom: Equatable, Sendable {
  case enough
  /// Publishers have to wait; deletions, cursors and definitions may still be committed.
  case low(String)
  /// Nothing may be committed.
  case none(String)
}

public enum StoreOutcome: Equatable, Sendable {
  case settled
  /// The store can go on no more: the process has to end, and finds at its next start what was settled.
  case failed(String)
}

/// What became of a queue's messages, as one small record that is written anew with each batch that touches it:
/// recovery reads these and no message.
public struct StoreCursor: Equatable, Sendable {
  /// No message below it is wanted any more.
  public var head: UInt64
  /// The highest position that was given.
  public var tail: UInt64
  /// Messages that are kept, and their octets.
  public var count: Int
  public var octets: Int
  /// No message above it was ever delivered.
  public var deliveredUpTo: UInt64
  /// Below it there may be ranges in the middle that were removed as ranges.
  public var holesBelow: UInt64

  public init(
    head: UInt64 = 1, tail: UInt64 = 0, count: Int = 0, octets: Int = 0, deliveredUpTo: UInt64 = 0,
    holesBelow: UInt64 = 0
  ) {
    self.head = head
    self.tail = tail
    self.count = count
    self.octets = octets
    self.deliveredUpTo = deliveredUpTo
    self.holesBelow = holesBelow
  }
}

/// Where a body stands that several queues share: at the place of the first of them. Never given twice.
public struct SharedBody: Hashable, Sendable {
  public var queue: UInt64
  public var position: UInt64

  public init(queue: UInt64, position: UInt64) {
    self.queue = queue
    self.position = position
  }
}

/// A message of a queue, with what the store keeps beside it.
public struct StoreRecord {
  public var queue: UInt64
  public var position: UInt64
  public var message: Message
  /// Not durable: it only makes room in memory, and is gone with the process.
  public var isTransient: Bool
  public var extra: StoredExtra
  /// Set where the body is kept once for several queues: each of them has a record that names it.
  public var sharedBody: SharedBody?

  public init(
    queue: UInt64, position: UInt64, message: Message, isTransient: Bool = false,
    extra: StoredExtra = StoredExtra(), sharedBody: SharedBody? = nil
  ) {
    self.queue = queue
    self.position = position
    self.message = message
    self.isTransient = isTransient
    self.extra = extra
    self.sharedBody = sharedBody
  }

  /// Of no queue: these have numbers from 1 on.
  static var empty: StoreRecord { StoreRecord(queue: 0, position: 0, message: .empty) }
  // hot:
  var isEmpty: Bool { queue == 0 }
}

/// What has changed since the last batch.
public struct StoreBatch {
  public struct QueueChange {
    public var queue: UInt64
    /// Nil: the queue is gone, with its cursor and all its messages.
    public var cursor: StoreCursor?
    /// Ranges of durable messages that are not wanted any more; positions of others may be in them, if there is
    /// no message at these.
    public var removedRanges: [Range<UInt64>] = []
    public var removedPositions: [UInt64] = []
    /// Of transient messages: they have been read, or are not wanted.
    public var removedTransient: [Range<UInt64>] = []
    /// Octets of all that was removed.
    public var removedOctets = 0
    /// Messages at these positions are not wanted any more whose bodies are shared.
    public var releasedBodies: [(body: SharedBody, position: UInt64)] = []

    public init(queue: UInt64, cursor: StoreCursor?) {
      self.queue = queue
      self.cursor = cursor
    }
  }

  /// In the order in which they were made. Nil: deleted.
  public var definitions: [(key: [UInt8], value: [UInt8]?)] = []
  public var records: ContiguousArray<StoreRecord> = []
  public var queues: [QueueChange] = []

  public init() {}

  public var isEmpty: Bool { definitions.isEmpty && records.isEmpty && queues.isEmpty }
}

/// What stands beside a stored message, and is not part of it.
public struct StoredExtra: Equatable, Sendable {
  /// Not before that moment, in milliseconds since 1970; 0: at once.
  public var dueMilliseconds: UInt64
  /// Not after that moment; 0: always.
  public var expiresMilliseconds: UInt64
  /// It was delivered already, or may have been.
  public var isRedelivered: Bool
  /// What the core wants to know again of a delayed message: a table's octets, mostly none.
  public var note: [UInt8]

  public init(
    dueMilliseconds: UInt64 = 0, expiresMilliseconds: UInt64 = 0, isRedelivered: Bool = false,
    note: [UInt8] = []
  ) {
    self.dueMilliseconds = dueMilliseconds
    self.isRedelivered = isRedelivered
    self.expiresMilliseconds = expiresMilliseconds
    self.note = note
  }
}

/// Which messages are to be read.
public struct StorePage: Sendable {
  public var queue: UInt64
  /// Positions from the first on, below the second.
  public var positions: Range<UInt64>
  /// At least one is read, if there is one.
  public var mostMessages: Int
  public var mostOctets: Int
  /// Durable messages are among them, transient ones are.
  public var hasDurable: Bool
  public var hasTransient: Bool
  /// Ranges that were removed are to be left out; else the reader knows that there are none, and need not look.
  public var respectsRanges: Bool

  public init(
    queue: UInt64, positions: Range<UInt64>, mostMessages: Int, mostOctets: Int, hasDurable: Bool = true,
    hasTransient: Bool = false, respectsRanges: Bool = true
  ) {
    self.queue = queue
    self.positions = positions
    self.mostMessages = mostMessages
    self.mostOctets = mostOctets
    self.hasDurable = hasDurable
    self.hasTransient = hasTransient
    self.respectsRanges = respectsRanges
  }
}

public struct StorePageRead {
  /// In the order of their positions.
  public var records: ContiguousArray<StoreRecord>
  /// There was nothing more in the range.
  public var reachedEnd: Bool
  /// What could not be read, for the log: a record that is damaged is passed over.
  public var problem: String?

  public init(records: ContiguousArray<StoreRecord>, reachedEnd: Bool, problem: String? = nil) {
    self.records = records
    self.reachedEnd = reachedEnd
    self.problem = problem
  }
}

public struct RecoveredStore {
  /// In the order of their keys' octets.
  public var definitions: [(key: [UInt8], value: [UInt8])]
  public var cursors: [UInt64: StoreCursor]

  public init(definitions: [(key: [UInt8], value: [UInt8])] = [], cursors: [UInt64: StoreCursor] = [:]) {
    self.definitions = definitions
    self.cursors = cursors
  }
}
