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
    /// A small file's worth: of octets, or of messages of a kibibyte.
    static let enoughOctets = 16_777_216
    static let enough: UInt64 = 16_384

    private var fronts: [UInt64: (messages: UInt64, octets: Int)] = [:]
    private var transient: [UInt64: (run: Range<UInt64>, octets: Int)] = [:]
    private(set) var reclaimed: [Reclaimed] = []
    /// Messages that went as ranges since the last sweep, at most: such a range does not say whose bodies it
    /// lets go of, if nobody has read it.
    var sinceSweep: UInt64 = 0

    func take() -> [Reclaimed] {
      guard !reclaimed.isEmpty else { return [] }
      defer { reclaimed = [] }
      return reclaimed
    }

    /// A range went that ends at the head or below.
    /// - Returns: whether all below it should be deleted anew: a file that goes takes its notes of deletions with
    ///   it, and what these were about may still stand in another.
    // hot:
    func removedFront(_ positions: Range<UInt64>, octets: Int, of queue: UInt64) -> Bool {
      var count = fronts[queue] ?? (0, 0)
      count.messages &+= positions.upperBound - positions.lowerBound
      count.octets &+= octets
      let isEnough =
        (count.messages >= Self.enough || count.octets >= Self.enoughOctets) && positions.upperBound > 0
      fronts[queue] = isEnough ? (0, 0) : count
      if isEnough { add(.messages, queue, 0..<positions.upperBound) }
      return isEnough
    }

    // hot:
    func removedTransient(_ positions: Range<UInt64>, octets: Int, of queue: UInt64) {
      guard !positions.isEmpty else { return }
      var run = positions
      var octets = octets
      if let last = transient[queue], last.run.upperBound == positions.lowerBound {
        run = last.run.lowerBound..<positions.upperBound
        octets &+= last.octets
      }
      if run.upperBound - run.lowerBound >= Self.enough || octets >= Self.enoughOctets {
        add(.transient, queue, run)
        run = run.upperBound..<run.upperBound
        octets = 0
      }
      transient[queue] = (run, octets)
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
