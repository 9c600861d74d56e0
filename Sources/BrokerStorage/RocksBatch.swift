#if RocksDB
  import BrokerCore
  import CRocksDB

  /// What one commit writes, in RocksDB's own form: the one copy of a message on its way to the disk.
  ///
  /// Filled on the core loop, written by the writer, and then used again.
  final class RocksBatch {
    let logged: OpaquePointer = rocksdb_writebatch_create()
    /// Of the family that is written without the log.
    let unlogged: OpaquePointer = rocksdb_writebatch_create()
    private(set) var hasUnlogged = false
    /// Bodies that were let go of, and may be needed no more.
    private(set) var released: [SharedBody] = []
    /// Files of it may be full of what is not wanted.
    private(set) var reclaimed: [Reclaimed] = []
    private(set) var bringsBodies = false
    private(set) var dropsQueues = false
    private(set) var octets = 0

    /// Below it, deletions one by one cost less than a range, which every later reader has to look at.
    private static let rangeFrom: UInt64 = 8
    /// A batch that grew above it gives its memory back.
    static let keptOctets = 4 << 20

    private let database: RocksDatabase
    private let removals: RemovalCount
    /// Two keys, and what stands before a message.
    private let scratch = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 8)
    private let keys = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: 1)
    private let keySizes = UnsafeMutablePointer<Int>.allocate(capacity: 1)
    private let values = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: 3)
    private let valueSizes = UnsafeMutablePointer<Int>.allocate(capacity: 3)

    init(_ database: RocksDatabase, _ removals: RemovalCount) {
      self.database = database
      self.removals = removals
    }

    deinit {
      rocksdb_writebatch_destroy(logged)
      rocksdb_writebatch_destroy(unlogged)
      scratch.deallocate()
      keys.deallocate()
      keySizes.deallocate()
      values.deallocate()
      valueSizes.deallocate()
    }

    func clear() {
      rocksdb_writebatch_clear(logged)
      if hasUnlogged { rocksdb_writebatch_clear(unlogged) }
      hasUnlogged = false
      released.removeAll()
      reclaimed = []
      bringsBodies = false
      dropsQueues = false
      octets = 0
    }

    /// What goes comes first: a record may be written again at its own position.
    func fill(_ batch: StoreBatch) {
      for definition in batch.definitions { put(definition) }
      for change in batch.queues { put(change) }
      reclaimed = removals.take()
      var body: SharedBody?
      for record in batch.records {
        put(record, bringsBody: record.sharedBody != nil && record.sharedBody != body)
        body = record.sharedBody
      }
    }

    // MARK: definitions and queues

    private func put(_ definition: (key: [UInt8], value: [UInt8]?)) {
      if let value = definition.value {
        put(.definitions, definition.key, value)
      } else {
        delete(logged, .definitions, definition.key)
      }
    }

    private func put(_ change: StoreBatch.QueueChange) {
      guard let cursor = change.cursor else {
        let end = RecordForm.endOfQueue(change.queue)
        let start = RecordForm.octets(change.queue)
        delete(logged, .cursors, RecordForm.cursorKey(change.queue))
        deleteRange(logged, .messages, start, end)
        deleteRange(unlogged, .transient, start, end)
        hasUnlogged = true
        dropsQueues = true
        removals.removedQueue(change.queue)
        return
      }
      for range in change.removedRanges {
        removals.sinceSweep &+= range.upperBound - range.lowerBound
        let isAll =
          range.upperBound <= cursor.head
          && removals.removedFront(range, octets: change.removedOctets, of: change.queue)
        delete(logged, .messages, change.queue, isAll ? 0..<range.upperBound : range)
      }
      for position in change.removedPositions {
        delete(logged, .messages, change.queue, position..<position &+ 1)
      }
      for range in change.removedTransient {
        delete(unlogged, .transient, change.queue, range)
        removals.removedTransient(range, octets: change.removedOctets, of: change.queue)
        hasUnlogged = true
      }
      for entry in change.releasedBodies {
        let marker = RecordForm.markerKey(entry.body, queue: change.queue, position: entry.position)
        delete(logged, .bodies, marker)
        released.append(entry.body)
      }
      put(.cursors, RecordForm.cursorKey(change.queue), RecordForm.octets(cursor))
    }

    // MARK: messages

    // hot:
    private func put(_ record: StoreRecord, bringsBody: Bool) {
      let message = record.message
      let envelopeCount = message.envelope.count
      let propertiesCount = message.properties.count
      let header = scratch + 64
      let headerCount = RecordForm.putHeader(
        header, envelopeCount: envelopeCount, propertiesCount: propertiesCount, extra: record.extra,
        sharedBody: record.sharedBody)
      let all = message.octets
      let count = record.sharedBody == nil ? all.count : envelopeCount + propertiesCount
      putMessageKey(scratch, record.queue, record.position)
      (values[0], valueSizes[0]) = (chars(header), headerCount)
      if record.extra.note.isEmpty {
        (values[1], valueSizes[1]) = (chars(all.baseAddress), count)
        put(record.isTransient, parts: 2)
      } else {
        record.extra.note.withUnsafeBytes { note in
          (values[1], valueSizes[1]) = (chars(note.baseAddress), note.count)
          (values[2], valueSizes[2]) = (chars(all.baseAddress), count)
          put(record.isTransient, parts: 3)
        }
      }
      octets += headerCount + count + RecordForm.messageKeyCount
      if let body = record.sharedBody {
        mark(body, record, body: bringsBody ? message.body : nil)
      }
      withExtendedLifetime(message) {}
    }

    // hot:
    private func put(_ isTransient: Bool, parts: Int32) {
      (keys[0], keySizes[0]) = (chars(scratch), RecordForm.messageKeyCount)
      if isTransient { hasUnlogged = true }
      rocksdb_writebatch_putv_cf(
        isTransient ? unlogged : logged, database.family(isTransient ? .transient : .messages), 1, keys,
        keySizes, parts, values, valueSizes)
    }

    private func mark(_ name: SharedBody, _ record: StoreRecord, body: UnsafeRawBufferPointer?) {
      if let body {
        RecordForm.bodyKey(name).withUnsafeBytes {
          rocksdb_writebatch_put_cf(
            logged, database.family(.bodies), chars($0.baseAddress), $0.count, chars(body.baseAddress),
            body.count)
        }
        octets += body.count
        put(.bodies, RecordForm.bodyKey(name, RecordForm.markerPrefix), [])
        bringsBodies = true
      }
      put(.bodies, RecordForm.markerKey(name, queue: record.queue, position: record.position), [])
    }

    // MARK: octets

    // hot:
    private func putMessageKey(_ to: UnsafeMutableRawPointer, _ queue: UInt64, _ position: UInt64) {
      RecordForm.put(queue, to)
      to.storeBytes(of: 0, toByteOffset: 8, as: UInt8.self)
      RecordForm.put(position, to + 9)
    }

    // hot:
    private func chars(_ octets: UnsafeRawPointer?) -> UnsafePointer<CChar>? {
      octets?.assumingMemoryBound(to: CChar.self)
    }

    private func put(_ family: RocksDatabase.Family, _ key: [UInt8], _ value: [UInt8]) {
      octets += key.count + value.count
      key.withUnsafeBytes { key in
        value.withUnsafeBytes { value in
          rocksdb_writebatch_put_cf(
            logged, database.family(family), chars(key.baseAddress), key.count, chars(value.baseAddress),
            value.count)
        }
      }
    }

    private func delete(_ batch: OpaquePointer, _ family: RocksDatabase.Family, _ key: [UInt8]) {
      key.withUnsafeBytes {
        rocksdb_writebatch_delete_cf(batch, database.family(family), chars($0.baseAddress), $0.count)
      }
    }

    private func deleteRange(
      _ batch: OpaquePointer, _ family: RocksDatabase.Family, _ start: [UInt8], _ end: [UInt8]
    ) {
      start.withUnsafeBytes { start in
        end.withUnsafeBytes { end in
          rocksdb_writebatch_delete_range_cf(
            batch, database.family(family), chars(start.baseAddress), start.count, chars(end.baseAddress),
            end.count)
        }
      }
    }

    // hot:
    private func delete(
      _ batch: OpaquePointer, _ family: RocksDatabase.Family, _ queue: UInt64, _ positions: Range<UInt64>
    ) {
      let handle = database.family(family)
      let count = RecordForm.messageKeyCount
      if positions.upperBound - positions.lowerBound < Self.rangeFrom {
        for position in positions {
          putMessageKey(scratch, queue, position)
          rocksdb_writebatch_delete_cf(batch, handle, chars(scratch), count)
        }
      } else {
        putMessageKey(scratch, queue, positions.lowerBound)
        putMessageKey(scratch + 32, queue, positions.upperBound)
        rocksdb_writebatch_delete_range_cf(batch, handle, chars(scratch), count, chars(scratch + 32), count)
      }
    }
  }
#endif
