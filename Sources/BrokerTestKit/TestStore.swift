import AMQPWire
import BrokerCore

/// A store in memory that settles, answers, fills up and fails when a test says so, and that can be left as a crash
/// would leave it.
package final class TestStore: MessageStore {
  private struct Place: Hashable, Comparable {
    let queue: UInt64
    let position: UInt64
    static func < (left: Place, right: Place) -> Bool {
      (left.queue, left.position) < (right.queue, right.position)
    }
  }

  /// What is safe.
  private struct Kept {
    var definitions: [[UInt8]: [UInt8]] = [:]
    var cursors: [UInt64: StoreCursor] = [:]
    var durable: [Place: StoreRecord] = [:]
    var transient: [Place: StoreRecord] = [:]
    /// Removed as ranges: who does not respect these still sees them.
    var ghosts: [Place: StoreRecord] = [:]
  }

  private var kept = Kept()
  private var commits: [(batch: StoreBatch, done: (StoreOutcome) -> Void)] = []
  private var reads: [(page: StorePage, done: (StorePageRead) -> Void)] = []
  package var space = StoreRoom.enough
  /// Set: each commit from now on fails so.
  package var failure: String?
  package private(set) var isClosed = false
  /// Messages that were written since the store was made.
  package private(set) var written = 0

  package init() {}

  /// What the next process would find if this one ended now.
  package func crashed() -> TestStore {
    let next = TestStore()
    next.kept = kept
    next.kept.transient = [:]
    for (place, record) in kept.durable { next.kept.durable[place] = Self.fresh(record) }
    for (place, record) in kept.ghosts { next.kept.ghosts[place] = Self.fresh(record) }
    return next
  }

  private static func fresh(_ record: StoreRecord) -> StoreRecord {
    var fresh = record
    let message = record.message
    guard
      let restored = Message.restored(
        message.octets, envelopeCount: message.envelope.count, propertiesCount: message.properties.count)
    else { preconditionFailure("what was a message is one") }
    fresh.message = restored
    return fresh
  }

  package var messageCount: Int { kept.durable.count }
  package var definitionCount: Int { kept.definitions.count }
  package var transientCount: Int { kept.transient.count }
  package func cursor(of queue: UInt64) -> StoreCursor? { kept.cursors[queue] }

  // MARK: the test's verbs

  /// The batch that is being written is safe, and those that this brings about, until none is left.
  package func settle() {
    for _ in 0..<1000 {
      guard !commits.isEmpty else { return }
      settleOne()
    }
    preconditionFailure("commits without end")
  }

  package func settleOne() {
    guard !commits.isEmpty else { return }
    let (batch, done) = commits.removeFirst()
    guard failure == nil else { return done(.failed(failure ?? "")) }
    apply(batch)
    done(.settled)
  }

  /// Answers what was asked, and settles what that brings about, until nothing is left.
  package func work() {
    for _ in 0..<10_000 { if !workOnce() { return } }
    preconditionFailure("work without end")
  }

  /// - Returns: whether there was something to do
  package func workOnce() -> Bool {
    if !reads.isEmpty {
      let (page, done) = reads.removeFirst()
      done(found(page))
    } else if !commits.isEmpty {
      settleOne()
    } else {
      return false
    }
    return true
  }

  package var isBusy: Bool { !commits.isEmpty }
  package var readsWaiting: Int { reads.count }

  // MARK: MessageStore

  package func recover() throws(StoreError) -> RecoveredStore {
    let keys = kept.definitions.keys.sorted { $0.lexicographicallyPrecedes($1) }
    return RecoveredStore(
      definitions: keys.map { ($0, kept.definitions[$0] ?? []) }, cursors: kept.cursors)
  }

  package func room(for octets: Int) -> StoreRoom { space }

  package func commit(_ batch: StoreBatch, _ done: @escaping (StoreOutcome) -> Void) {
    commits.append((batch, done))
  }

  package func read(_ page: StorePage, _ done: @escaping (StorePageRead) -> Void) {
    reads.append((page, done))
  }

  package func close() { isClosed = true }

  private func apply(_ batch: StoreBatch) {
    for (key, value) in batch.definitions { kept.definitions[key] = value }
    for change in batch.queues {
      guard let cursor = change.cursor else {
        kept.cursors[change.queue] = nil
        kept.durable = kept.durable.filter { $0.key.queue != change.queue }
        kept.transient = kept.transient.filter { $0.key.queue != change.queue }
        continue
      }
      kept.cursors[change.queue] = cursor
      for range in change.removedRanges {
        for (place, record) in kept.durable
        where place.queue == change.queue && range.contains(place.position) {
          kept.durable[place] = nil
          kept.ghosts[place] = record
        }
      }
      for position in change.removedPositions {
        kept.durable[Place(queue: change.queue, position: position)] = nil
      }
      for range in change.removedTransient {
        kept.transient = kept.transient.filter {
          $0.key.queue != change.queue || !range.contains($0.key.position)
        }
      }
    }
    for record in batch.records {
      written += 1
      let place = Place(queue: record.queue, position: record.position)
      if record.isTransient { kept.transient[place] = record } else { kept.durable[place] = record }
    }
  }

  private func found(_ page: StorePage) -> StorePageRead {
    var records: [Place: StoreRecord] = [:]
    if page.hasDurable {
      if !page.respectsRanges { records.merge(kept.ghosts) { $1 } }
      records.merge(kept.durable) { $1 }
    }
    if page.hasTransient { records.merge(kept.transient) { $1 } }
    let places = records.keys.filter { $0.queue == page.queue && page.positions.contains($0.position) }
      .sorted()
    var found: ContiguousArray<StoreRecord> = []
    var octets = 0
    for place in places {
      guard let record = records[place].map(Self.fresh) else { continue }
      guard found.isEmpty || found.count < page.mostMessages && octets < page.mostOctets else {
        return StorePageRead(records: found, reachedEnd: false)
      }
      octets += record.message.octets.count
      found.append(record)
    }
    return StorePageRead(records: found, reachedEnd: true)
  }
}
