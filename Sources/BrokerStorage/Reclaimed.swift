#if RocksDB
  import BrokerCore

  /// What of a family holds nothing any more, so that whole files of it can go. Knows no file.
  struct Reclaimed {
    var family: RocksDatabase.Family
    var start: [UInt8]
    /// Goes, too.
    var last: [UInt8]
  }

  /// Counts what was removed from queues, until it is so much that files may be full of it.
  ///
  /// A deletion is a note in RocksDB; the space comes back when a compaction meets it, which for a queue that was
  /// drained and rests may be never. Belongs to the core loop.
  final class RemovalCount {
    /// Of messages of a kibibyte, a file's worth.
    static let enough: UInt64 = 16_384

    private var fronts: [UInt64: UInt64] = [:]
    private var transient: [UInt64: Range<UInt64>] = [:]
    private(set) var reclaimed: [Reclaimed] = []

    func take() -> [Reclaimed] {
      guard !reclaimed.isEmpty else { return [] }
      defer { reclaimed = [] }
      return reclaimed
    }

    /// A range went that ends at the head or below.
    /// - Returns: whether all below it should be deleted anew: a file that goes takes its notes of deletions with
    ///   it, and what these were about may still stand in another.
    // hot:
    func removedFront(_ positions: Range<UInt64>, of queue: UInt64) -> Bool {
      let count = fronts[queue, default: 0] + (positions.upperBound - positions.lowerBound)
      let isEnough = count >= Self.enough && positions.upperBound > 0
      fronts[queue] = isEnough ? 0 : count
      if isEnough { add(.messages, queue, 0..<positions.upperBound) }
      return isEnough
    }

    // hot:
    func removedTransient(_ positions: Range<UInt64>, of queue: UInt64) {
      guard !positions.isEmpty else { return }
      var run = transient[queue] ?? positions
      run =
        run.upperBound == positions.lowerBound ? run.lowerBound..<positions.upperBound : positions
      if run.upperBound - run.lowerBound >= Self.enough {
        add(.transient, queue, run)
        run = run.upperBound..<run.upperBound
      }
      transient[queue] = run
    }

    func removedQueue(_ queue: UInt64) {
      fronts[queue] = nil
      transient[queue] = nil
      for family: RocksDatabase.Family in [.messages, .transient] {
        let start = RecordForm.octets(queue)
        reclaimed.append(Reclaimed(family: family, start: start, last: RecordForm.endOfQueue(queue)))
      }
    }

    private func add(_ family: RocksDatabase.Family, _ queue: UInt64, _ positions: Range<UInt64>) {
      reclaimed.append(
        Reclaimed(
          family: family, start: RecordForm.messageKey(queue, positions.lowerBound),
          last: RecordForm.messageKey(queue, positions.upperBound - 1)))
    }
  }
#endif
