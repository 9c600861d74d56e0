#if RocksDB
  import BrokerCore
  import Logging
  import Synchronization

  /// The store on RocksDB: one thread writes, one reads, and the core loop gets the answers. Knows no queue.
  ///
  ///     core loop ── commit ──> batch ──> writer: write, sync ──> core loop: done
  ///               ── read ──────────────> reader: scan ─────────> core loop: done
  ///
  /// The class belongs to the core loop.
  package final class RocksStore: MessageStore {
    package enum Durability: String, Sendable, CaseIterable {
      /// What is settled outlives the machine.
      case fsync
      /// What is settled outlives the process; the operating system writes it when it likes.
      case os
    }

    package struct Options: Sendable {
      package var durability: Durability
      /// Octets that stay free: publishers wait before less is left.
      package var diskFreeLimit: Int
      /// Octets that are free at a path, nil if nobody knows.
      package var freeSpace: @Sendable (_ path: String) -> Int?
      /// How long a start waits for a process to end that has the directory.
      package var patienceMilliseconds = 1000

      package init(
        durability: Durability = .fsync, diskFreeLimit: Int = 268_435_456,
        freeSpace: (@Sendable (_ path: String) -> Int?)? = nil
      ) {
        self.durability = durability
        self.diskFreeLimit = diskFreeLimit
        self.freeSpace = freeSpace ?? { StoreDirectory.freeSpace(at: $0) }
      }
    }

    package typealias Loop = @Sendable (@escaping @Sendable () -> Void) -> Void

    private let directory: StoreDirectory
    private let options: Options
    private let logger: Logger
    private let loop: Loop
    private let database: RocksDatabase
    private let writer: Worker
    private let reader: Worker
    /// Why nothing can be written any more. The writer sets it, and the reader asks.
    private let failure = Failure()

    private var idle: [RocksBatch] = []
    private let removals = RemovalCount()
    /// Octets that were handed over and are not settled.
    private var inFlight = 0
    private var flights = 0
    private var sweep = Sweep()
    private var isClosed = false

    /// When bodies are looked after that nobody let go of by name.
    private struct Sweep {
      var isRunning = false
      var runsAgain = false
      /// There may be bodies at all.
      var isNeeded = true
      /// None was on its way when the sweep began, and none has come since.
      var seesAll = false
      /// Keys in this sweep up to now.
      var seen: UInt64 = 0
      /// Keys in the last one: the next begins when as many messages are gone, so that it costs little for each.
      var lastSeen: UInt64 = 0
      static let leastRemoved: UInt64 = 4096
    }

    /// The first error, which is the last word.
    private final class Failure: Sendable {
      private let first = Mutex<String?>(nil)
      var text: String? { first.withLock { $0 } }
      func set(_ text: String) { first.withLock { $0 = $0 ?? text } }
    }

    /// - Parameters:
    ///   - directory: made if it is not there
    ///   - loop: does something on the core loop, after all that it was given before
    /// - Throws: `StoreError`, one line for the operator
    package init(
      directory path: String, options: Options = Options(), logger: Logger, loop: @escaping Loop
    ) throws(StoreError) {
      self.options = options
      self.logger = logger
      self.loop = loop
      directory = try StoreDirectory(
        path: path, creates: true, patienceMilliseconds: options.patienceMilliseconds)
      do {
        try directory.refuseHeadless()
        database = try RocksDatabase(directory.storePath)
        StoreDirectory.syncNames(in: path)
      } catch {
        directory.release()
        throw directory.error(of: error)
      }
      writer = Worker(name: "yutu-writer")
      reader = Worker(name: "yutu-reader")
    }

    // MARK: MessageStore

    package func recover() throws(StoreError) -> RecoveredStore {
      var recovered = RecoveredStore()
      let definitions = RocksScan(database, .definitions, to: [UInt8](repeating: 255, count: 1024))
      while definitions.isAtKey {
        recovered.definitions.append(([UInt8](definitions.key), [UInt8](definitions.value)))
        definitions.advance()
      }
      let prefix = RecordForm.cursorPrefix
      let cursors = RocksScan(database, .cursors, from: [prefix], to: [prefix + 1])
      while cursors.isAtKey {
        let key = cursors.key
        guard key.count == RecordForm.cursorKeyCount, let cursor = RecordForm.cursor(cursors.value) else {
          throw directory.damaged("a cursor cannot be read")
        }
        recovered.cursors[RecordForm.number(key, 1)] = cursor
        cursors.advance()
      }
      if let failure = definitions.failure ?? cursors.failure { throw directory.damaged(failure) }
      startSweep()
      return recovered
    }

    // hot: once a commit
    package func room(for octets: Int) -> StoreRoom {
      guard let free = options.freeSpace(directory.path) else { return .enough }
      let left = free - octets - inFlight
      guard left < options.diskFreeLimit else { return .enough }
      let text =
        "\(directory.path) has \(max(free, 0) >> 20) MiB free, the limit is \(options.diskFreeLimit >> 20) MiB"
      // RocksDB needs some itself, and ends the process when its log cannot be written.
      return left < min(32 << 20, options.diskFreeLimit / 4) ? .none(text) : .low(text)
    }

    package func commit(_ batch: StoreBatch, _ done: @escaping (StoreOutcome) -> Void) {
      let made = idle.popLast() ?? RocksBatch(database, removals)
      made.fill(batch)
      inFlight += made.octets
      flights += 1
      if made.bringsBodies {
        sweep.isNeeded = true
        sweep.seesAll = false
      }
      let flight = Handover((batch: made, store: self, done: done))
      let how: RocksOptions.Writing = options.durability == .fsync ? .synced : .logged
      writer.add { [database, failure, loop, reader] in
        Self.write(flight.value.batch, how, database, failure)
        let released = flight.value.batch.released
        let reclaimed = flight.value.batch.reclaimed
        if !released.isEmpty || !reclaimed.isEmpty {
          reader.add {
            Self.attempt(failure) { () throws(RocksFailure) in
              try BodySweep(database: database).free(released)
              for what in reclaimed { try database.dropFiles(what) }
            }
          }
        }
        loop { flight.value.store.written(flight.value.batch, flight.value.done) }
      }
    }

    package func read(_ page: StorePage, _ done: @escaping (StorePageRead) -> Void) {
      let question = Handover((store: self, done: done))
      reader.add { [database, loop] in
        let answer = Handover(PageReader(database: database).read(page))
        loop {
          guard !question.value.store.isClosed else { return }
          question.value.done(answer.value)
        }
      }
    }

    package func close() {
      guard !isClosed else { return }
      isClosed = true
      writer.end()
      // The writer gives it work, so it ends second.
      reader.end()
      idle = []
      database.close()
      directory.release()
    }

    // MARK: writing

    /// On the writer's thread.
    private static func write(
      _ batch: RocksBatch, _ how: RocksOptions.Writing, _ database: RocksDatabase, _ failure: Failure
    ) {
      guard failure.text == nil else { return }
      do {
        try database.write(batch.logged, how)
        if batch.hasUnlogged { try database.write(batch.unlogged, .unlogged) }
      } catch {
        failure.set(error.text)
      }
    }

    private func written(_ batch: RocksBatch, _ done: (StoreOutcome) -> Void) {
      guard !isClosed else { return }
      inFlight -= batch.octets
      flights -= 1
      if sweep.isNeeded,
        batch.dropsQueues || removals.sinceSweep > max(sweep.lastSeen, Sweep.leastRemoved)
      {
        startSweep()
      }
      if batch.octets <= RocksBatch.keptOctets {
        batch.clear()
        idle.append(batch)
      }
      if let text = failure.text { done(.failed(text)) } else { done(.settled) }
    }

    // MARK: sweeping

    /// Lets a sweep begin, or one begin again.
    private func startSweep() {
      removals.sinceSweep = 0
      guard !sweep.isRunning else {
        sweep.runsAgain = true
        return
      }
      sweep.isRunning = true
      sweep.runsAgain = false
      sweep.seesAll = flights == 0
      sweep.seen = 0
      sweepStep(from: nil)
    }

    private func sweepStep(from start: [UInt8]?) {
      let owner = Handover(self)
      reader.addUnlessEnding { [database, failure, loop] in
        var answer: (next: [UInt8]?, seen: UInt64) = (nil, 0)
        Self.attempt(failure) { () throws(RocksFailure) in
          answer = try BodySweep(database: database).step(from: start)
        }
        let step = answer
        loop { owner.value.swept(step) }
      }
    }

    private func swept(_ step: (next: [UInt8]?, seen: UInt64)) {
      guard !isClosed else { return }
      sweep.seen += step.seen
      if let next = step.next { return sweepStep(from: next) }
      sweep.lastSeen = sweep.seen
      if sweep.seen == 0 && sweep.seesAll { sweep.isNeeded = false }
      sweep.isRunning = false
      if sweep.runsAgain { startSweep() }
    }

    /// On the reader's thread. What cannot be cleared away fails the next commit.
    private static func attempt(_ failure: Failure, _ step: () throws(RocksFailure) -> Void) {
      guard failure.text == nil else { return }
      do { try step() } catch { failure.set(error.text) }
    }
  }

  extension StoreDirectory {
    func damaged(_ text: String) -> StoreError {
      StoreError("data directory \(path) is damaged: \(text); see yutu store check --data-dir \(path)")
    }

    /// RocksDB's own words, behind ours.
    func error(of error: any Error) -> StoreError {
      guard let failure = error as? RocksFailure else {
        return error as? StoreError ?? StoreError("cannot open the store in \(path): \(error)")
      }
      let signs = ["Corruption", "Invalid argument", "No such file"]
      guard !signs.contains(where: { failure.text.contains($0) }) else { return damaged(failure.text) }
      return StoreError("cannot open the store in \(path): \(failure.text)")
    }

    /// RocksDB would begin a new database among the tables of an old one, and delete these.
    func refuseHeadless() throws(StoreError) {
      guard Self.isDirectory(storePath), !Self.exists(storePath + "/CURRENT") else { return }
      if Self.names(storePath).contains(where: { $0.hasSuffix(".sst") || $0.hasSuffix(".log") }) {
        throw damaged("store/CURRENT is missing")
      }
    }
  }
#endif
