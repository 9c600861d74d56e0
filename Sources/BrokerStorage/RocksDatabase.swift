#if RocksDB
  import BrokerCore
  import CRocksDB
  import Foundation

  /// What RocksDB says when it cannot.
  struct RocksFailure: Error {
    let text: String
  }

  typealias RocksError = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

  /// Calls RocksDB, and makes an error of what it reports.
  func checked<Result>(_ call: (RocksError) -> Result) throws(RocksFailure) -> Result {
    var error: UnsafeMutablePointer<CChar>?
    let result = call(&error)
    guard let error else { return result }
    let text = String(cString: error)
    rocksdb_free(error)
    throw RocksFailure(text: text)
  }

  /// An open database with its column families. Knows no record.
  /// @unchecked Sendable: RocksDB may be called from any thread; all here is set once, before a second thread
  /// knows of it, and `close` is called when the workers have ended.
  final class RocksDatabase: @unchecked Sendable {
    enum Family: Int, CaseIterable {
      /// The cursors.
      case cursors
      case definitions
      case messages
      case bodies
      /// Written without the log, and emptied at each start. The last: who only reads does without.
      case transient

      /// The first one has a name that RocksDB prescribes.
      var name: String { self == .cursors ? "default" : "\(self)" }
    }

    let handle: OpaquePointer
    private let families: [OpaquePointer]
    private let options: RocksOptions

    /// - Parameters:
    ///   - readOnly: changes nothing, and there is no family `transient`
    ///   - doubtsLog: fails at a damaged record of the log that others follow; else what is behind it is not read, as
    ///     after a power cut, where the two look alike
    init(_ path: String, readOnly: Bool = false, doubtsLog: Bool = false) throws(RocksFailure) {
      let options = RocksOptions()
      if doubtsLog { options.doubtLog() }
      let wanted = Family.allCases.filter { !readOnly || $0 != .transient }
      var handles = [OpaquePointer?](repeating: nil, count: wanted.count)
      let opened = try RocksDatabase.open(path, options, wanted, readOnly: readOnly, &handles)
      var families = handles.compactMap { $0 }
      if !readOnly {
        do { families = try RocksDatabase.emptied(opened, families, options) } catch {
          for family in families { rocksdb_column_family_handle_destroy(family) }
          rocksdb_close(opened)
          throw error
        }
      }
      handle = opened
      self.families = families
      self.options = options
    }

    private static func open(
      _ path: String, _ options: RocksOptions, _ wanted: [Family], readOnly: Bool,
      _ handles: inout [OpaquePointer?]
    ) throws(RocksFailure) -> OpaquePointer {
      let names = wanted.map { strdup($0.name) }
      defer { for name in names { free(name) } }
      let pointers = names.map { UnsafePointer<CChar>($0) }
      let perFamily = wanted.map { Optional(options.of($0)) }
      let count = Int32(names.count)
      let opened = try checked { error in
        readOnly
          ? rocksdb_open_for_read_only_column_families(
            options.database, path, count, pointers, perFamily, &handles, 0, error)
          : rocksdb_open_column_families(
            options.database, path, count, pointers, perFamily, &handles, error)
      }
      guard let opened else { throw RocksFailure(text: "RocksDB gave no reason") }
      return opened
    }

    /// Drops what is transient, and makes the family anew.
    private static func emptied(
      _ database: OpaquePointer, _ families: [OpaquePointer], _ options: RocksOptions
    ) throws(RocksFailure) -> [OpaquePointer] {
      var families = families
      let index = Family.transient.rawValue
      try checked { rocksdb_drop_column_family(database, families[index], $0) }
      let made = try checked {
        rocksdb_create_column_family(database, options.of(.transient), Family.transient.name, $0)
      }
      guard let made else { throw RocksFailure(text: "RocksDB gave no column family") }
      rocksdb_column_family_handle_destroy(families[index])
      families[index] = made
      return families
    }

    // hot:
    func family(_ family: Family) -> OpaquePointer { families[family.rawValue] }

    func write(_ batch: OpaquePointer, _ how: RocksOptions.Writing) throws(RocksFailure) {
      try checked { rocksdb_write(handle, options.of(how), batch, $0) }
    }

    /// Calls with the value, which stays where it is during the call, or with nil if there is none.
    func get<Result>(
      _ family: Family, _ key: [UInt8], _ body: (UnsafeRawBufferPointer?) -> Result
    ) throws(RocksFailure) -> Result {
      let slice = try checked { error in
        key.withUnsafeBytes {
          rocksdb_get_pinned_cf(
            handle, options.pointReads, self.family(family), $0.bindMemory(to: CChar.self).baseAddress,
            $0.count, error)
        }
      }
      guard let slice else { return body(nil) }
      defer { rocksdb_pinnableslice_destroy(slice) }
      var count = 0
      let start = rocksdb_pinnableslice_value(slice, &count)
      return body(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// Deletes files that have nothing else in them.
    func dropFiles(_ what: Reclaimed) throws(RocksFailure) {
      try checked { error in
        what.start.withUnsafeBytes { start in
          what.last.withUnsafeBytes { last in
            rocksdb_delete_file_in_range_cf(
              handle, family(what.family), start.bindMemory(to: CChar.self).baseAddress, start.count,
              last.bindMemory(to: CChar.self).baseAddress, last.count, error)
          }
        }
      }
    }

    /// Families before the database: RocksDB asserts that.
    func close() {
      for family in families { rocksdb_column_family_handle_destroy(family) }
      rocksdb_close(handle)
    }
  }

  /// Goes through keys between two bounds, forward. Used by the thread that made it.
  final class RocksScan {
    private let database: RocksDatabase
    private let family: OpaquePointer
    private var iterator: OpaquePointer
    private let options: OpaquePointer
    /// RocksDB reads them as long as the iterator lives.
    private let bounds: UnsafeMutableRawBufferPointer
    private let lowerCount: Int

    /// - Parameters:
    ///   - upper: not reached
    ///   - ignoresRanges: what was deleted as a range is seen, unless it is gone already
    init(
      _ database: RocksDatabase, _ family: RocksDatabase.Family, from lower: [UInt8] = [], to upper: [UInt8],
      ignoresRanges: Bool = false
    ) {
      bounds = UnsafeMutableRawBufferPointer.allocate(byteCount: lower.count + upper.count, alignment: 1)
      bounds.copyBytes(from: lower + upper)
      lowerCount = lower.count
      let chars = bounds.bindMemory(to: CChar.self)
      let end = UnsafeMutableBufferPointer(rebasing: chars[lower.count...])
      options = rocksdb_readoptions_create()
      rocksdb_readoptions_set_fill_cache(options, 0)
      rocksdb_readoptions_set_verify_checksums(options, 1)
      rocksdb_readoptions_set_ignore_range_deletions(options, ignoresRanges ? 1 : 0)
      rocksdb_readoptions_set_iterate_lower_bound(options, chars.baseAddress, lowerCount)
      rocksdb_readoptions_set_iterate_upper_bound(
        options, end.baseAddress, end.count)
      self.database = database
      self.family = database.family(family)
      iterator = rocksdb_create_iterator_cf(database.handle, options, self.family)
      rocksdb_iter_seek(iterator, chars.baseAddress, lowerCount)
    }

    deinit {
      rocksdb_iter_destroy(iterator)
      rocksdb_readoptions_destroy(options)
      bounds.deallocate()
    }

    // hot:
    var isAtKey: Bool { rocksdb_iter_valid(iterator) != 0 }

    // hot: valid until the scan moves
    var key: UnsafeRawBufferPointer {
      var count = 0
      let start = rocksdb_iter_key(iterator, &count)
      return UnsafeRawBufferPointer(start: start, count: count)
    }

    // hot: valid until the scan moves
    var value: UnsafeRawBufferPointer {
      var count = 0
      let start = rocksdb_iter_value(iterator, &count)
      return UnsafeRawBufferPointer(start: start, count: count)
    }

    // hot:
    func advance() { rocksdb_iter_next(iterator) }

    func seek(_ key: [UInt8]) {
      key.withUnsafeBytes {
        rocksdb_iter_seek(iterator, $0.bindMemory(to: CChar.self).baseAddress, $0.count)
      }
    }

    /// Goes on behind what cannot be read, to the first message of a queue that can.
    /// - Parameter positions: from the first that cannot be read on
    /// - Returns: false if none of them can be read
    func passDamage(_ queue: UInt64, _ positions: Range<UInt64>) -> Bool {
      guard !positions.isEmpty else { return false }
      var bad = positions.lowerBound
      var good = positions.upperBound - 1
      var step: UInt64 = 1
      // The step doubles until something can be read, then the gap is halved: a damaged block costs some tens of
      // seeks, and so does a damaged file.
      while good - bad > step {
        let next = bad + step
        if canRead(queue, next) {
          good = next
          break
        }
        bad = next
        step *= 2
      }
      guard canRead(queue, good) else { return false }
      while good - bad > 1 {
        let middle = bad + (good - bad) / 2
        if canRead(queue, middle) { good = middle } else { bad = middle }
      }
      return canRead(queue, good)
    }

    private func canRead(_ queue: UInt64, _ position: UInt64) -> Bool {
      // One that has met a damaged block says so of the next ones, too.
      rocksdb_iter_destroy(iterator)
      iterator = rocksdb_create_iterator_cf(database.handle, options, family)
      seek(RecordForm.messageKey(queue, position))
      return isAtKey || failure == nil
    }

    /// Why it is at no key, nil if that is the end.
    var failure: String? {
      do {
        try checked { rocksdb_iter_get_error(iterator, $0) }
        return nil
      } catch { return error.text }
    }
  }
#endif
