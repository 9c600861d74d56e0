#if RocksDB
  import BrokerCore
  import CRocksDB

  /// Deletes shared bodies that no message needs any more. Runs on the reader's thread.
  ///
  /// A body gets its markers in the batch that brings it, and never another one: a body without markers stays so.
  struct BodySweep {
    let database: RocksDatabase

    /// Looked at in one go: page reads wait meanwhile.
    private static let mostKeys: UInt64 = 4096

    /// Of these bodies, the ones without markers go.
    func free(_ bodies: [SharedBody]) throws(RocksFailure) {
      let unused = Set(bodies).filter { !hasMarkers($0) }
      try delete(unused.flatMap(keys))
    }

    private func hasMarkers(_ body: SharedBody) -> Bool {
      // Behind the name itself.
      let name = RecordForm.bodyKey(body, RecordForm.markerPrefix)
      let scan = RocksScan(
        database, .bodies, from: name + [0], to: name + [UInt8](repeating: 255, count: 17))
      // If it cannot be read, nothing goes.
      return scan.isAtKey || scan.failure != nil
    }

    private func keys(_ body: SharedBody) -> [[UInt8]] {
      [RecordForm.bodyKey(body), RecordForm.bodyKey(body, RecordForm.markerPrefix)]
    }

    /// Looks at a part of the markers.
    /// - Parameter start: nil: from the beginning
    /// - Returns: where to go on, nil at the end, and how many keys were seen
    ///
    /// The scan sees the markers as they were when it began, and the cursors as they are later: a marker came with
    /// its queue's cursor, so it is not wanted if there is none, or if the head is above it.
    func step(from start: [UInt8]?) throws(RocksFailure) -> (next: [UInt8]?, seen: UInt64) {
      let scan = RocksScan(
        database, .bodies, from: start ?? [RecordForm.markerPrefix], to: [RecordForm.markerPrefix + 1])
      var unwanted: [[UInt8]] = []
      var body: SharedBody?
      var isNeeded = true
      var heads: [UInt64: UInt64] = [:]
      var seen: UInt64 = 0
      while scan.isAtKey {
        let key = scan.key
        switch key.count {
        case RecordForm.bodyKeyCount:
          if let body, !isNeeded { unwanted += keys(body) }
          // A body is looked at as a whole.
          if seen >= Self.mostKeys {
            let next = [UInt8](key)
            try delete(unwanted)
            return (next, seen)
          }
          body = SharedBody(queue: RecordForm.number(key, 1), position: RecordForm.number(key, 9))
          isNeeded = false
        case RecordForm.markerKeyCount:
          let queue = RecordForm.number(key, 17)
          if heads[queue] == nil { heads[queue] = try head(of: queue) }
          if RecordForm.number(key, 25) < heads[queue, default: 0] {
            unwanted.append([UInt8](key))
          } else {
            isNeeded = true
          }
        default: unwanted.append([UInt8](key))
        }
        seen += 1
        scan.advance()
      }
      if let failure = scan.failure { throw RocksFailure(text: failure) }
      if let body, !isNeeded { unwanted += keys(body) }
      try delete(unwanted)
      return (nil, seen)
    }

    /// - Returns: above all positions if the queue is gone
    private func head(of queue: UInt64) throws(RocksFailure) -> UInt64 {
      try database.get(.cursors, RecordForm.cursorKey(queue)) { value in
        guard let value else { return .max }
        return RecordForm.cursor(value)?.head ?? 0
      }
    }

    private func delete(_ keys: [[UInt8]]) throws(RocksFailure) {
      guard !keys.isEmpty else { return }
      let batch: OpaquePointer = rocksdb_writebatch_create()
      defer { rocksdb_writebatch_destroy(batch) }
      for key in keys {
        key.withUnsafeBytes {
          rocksdb_writebatch_delete_cf(
            batch, database.family(.bodies), $0.bindMemory(to: CChar.self).baseAddress, $0.count)
        }
      }
      // Not synced: what comes back after a crash is swept at the next start.
      try database.write(batch, .logged)
    }
  }
#endif
