#if RocksDB
  import BrokerCore
  @testable import BrokerStorage
  import BrokerTestKit
  import CRocksDB
  import Foundation
  import Logging
  import Testing

  /// The core loop of a test: what is put on it runs when the test's thread asks for an answer.
  final class TestLoop: Sendable {
    private let condition = NSCondition()
    private nonisolated(unsafe) var jobs: [@Sendable () -> Void] = []

    var entrance: RocksStore.Loop {
      { [self] job in
        condition.lock()
        jobs.append(job)
        condition.signal()
        condition.unlock()
      }
    }

    var isEmpty: Bool {
      condition.lock()
      defer { condition.unlock() }
      return jobs.isEmpty
    }

    /// Runs the next thing that comes.
    func runNext() throws {
      condition.lock()
      defer { condition.unlock() }
      let end = Date(timeIntervalSinceNow: 30)
      while jobs.isEmpty { try #require(condition.wait(until: end), "nothing came onto the loop") }
      let job = jobs.removeFirst()
      condition.unlock()
      job()
      condition.lock()
    }
  }

  extension TestLoop {
    /// Runs what is there.
    func runAll() throws { while !isEmpty { try runNext() } }
  }

  /// Puts an entry into a store that nobody has open.
  func plant(_ path: String, _ family: RocksDatabase.Family, _ key: [UInt8], _ value: [UInt8]) throws {
    let database = try RocksDatabase(path + "/store")
    defer { database.close() }
    let batch: OpaquePointer = rocksdb_writebatch_create()
    defer { rocksdb_writebatch_destroy(batch) }
    let chars = (key + value).map { CChar(bitPattern: $0) }
    rocksdb_writebatch_put_cf(
      batch, database.family(family), chars, key.count, Array(chars[key.count...]), value.count)
    try database.write(batch, .logged)
  }

  extension RocksDatabase {
    /// Everything of a family into tables, as it is after some time.
    func compact(_ family: Family) throws {
      let how: OpaquePointer = rocksdb_flushoptions_create()
      defer { rocksdb_flushoptions_destroy(how) }
      try checked { rocksdb_flush_cf(handle, how, self.family(family), $0) }
      rocksdb_compact_range_cf(handle, self.family(family), nil, 0, nil, 0)
    }
  }

  /// A folder that goes with the test, and stores in it.
  final class Workbench {
    let path = NSTemporaryDirectory() + "yutu-store-" + UUID().uuidString
    let loop = TestLoop()

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func open(
      _ options: RocksStore.Options = .init(durability: .os), at other: String? = nil
    ) throws -> Line {
      var logger = Logger(label: "test")
      logger.logLevel = .critical
      var options = options
      options.patienceMilliseconds = 0
      return Line(
        try RocksStore(directory: other ?? path, options: options, logger: logger, loop: loop.entrance), loop)
    }

    /// What a killed process leaves: the files as they are.
    func copy() throws -> String {
      let copy = path + "/../" + (path as NSString).lastPathComponent + "-copy"
      try FileManager.default.copyItem(atPath: path, toPath: copy)
      return copy
    }
  }

  /// An open store, whose answers are waited for.
  final class Line {
    let store: RocksStore
    private let loop: TestLoop

    init(_ store: RocksStore, _ loop: TestLoop) {
      self.store = store
      self.loop = loop
    }

    @discardableResult
    func commit(_ fill: (inout StoreBatch) -> Void) throws -> StoreOutcome {
      var batch = StoreBatch()
      fill(&batch)
      var outcome: StoreOutcome?
      store.commit(batch) { outcome = $0 }
      while outcome == nil { try loop.runNext() }
      return try #require(outcome)
    }

    func read(
      _ queue: UInt64, _ positions: Range<UInt64> = 1..<1_000_000, messages: Int = 1000,
      octets: Int = 1 << 20,
      transient: Bool = false, durable: Bool = true, respectsRanges: Bool = true
    ) throws -> StorePageRead {
      var page: StorePageRead?
      store.read(
        StorePage(
          queue: queue, positions: positions, mostMessages: messages, mostOctets: octets, hasDurable: durable,
          hasTransient: transient, respectsRanges: respectsRanges)
      ) { page = $0 }
      while page == nil { try loop.runNext() }
      return try #require(page)
    }

    /// Positions and texts, as `1 a`.
    func texts(_ queue: UInt64, respectsRanges: Bool = true, transient: Bool = false) throws -> [String] {
      try read(queue, transient: transient, respectsRanges: respectsRanges).records.map {
        "\($0.position) \($0.message.bodyText)"
      }
    }
  }

  extension StoreBatch {
    mutating func add(
      _ text: String, _ queue: UInt64, _ position: UInt64, isTransient: Bool = false, body: SharedBody? = nil
    ) {
      let message = Message.of(text, exchange: "x", key: "k")
      records.append(
        StoreRecord(
          queue: queue, position: position, message: message, isTransient: isTransient, sharedBody: body))
    }

    mutating func set(
      _ queue: UInt64, _ cursor: StoreCursor?, _ change: (inout QueueChange) -> Void = { _ in }
    ) {
      var made = QueueChange(queue: queue, cursor: cursor)
      change(&made)
      queues.append(made)
    }
  }
#endif
