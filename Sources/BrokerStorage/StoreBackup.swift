#if RocksDB
  import BrokerCore
  import CRocksDB
  import Foundation

  /// Copies a store that nobody uses into a new directory. Knows no record.
  ///
  /// Files of RocksDB never change once they are written, so most are only linked if both directories are on one
  /// file system: the copy costs little time, and no space until the store moves on.
  package enum StoreBackup {
    /// - Parameter destination: must not be there yet
    /// - Throws: `StoreError`, one line for the operator
    package static func make(of path: String, to destination: String) throws(StoreError) {
      guard !StoreDirectory.exists(destination) else {
        throw StoreError("\(destination) is there already; a backup needs a new directory")
      }
      let directory = try StoreDirectory(path: path, creates: false)
      defer { directory.release() }
      try directory.refuseHeadless()
      do {
        let database = try RocksDatabase(directory.storePath)
        defer { database.close() }
        try StoreDirectory.create(destination)
        try checkpoint(database, destination + "/store")
      } catch {
        throw directory.error(of: error)
      }
      try StoreDirectory.writeFormat(to: destination)
    }

    private static func checkpoint(_ database: RocksDatabase, _ path: String) throws(RocksFailure) {
      let made = try checked { rocksdb_checkpoint_object_create(database.handle, $0) }
      defer { rocksdb_checkpoint_object_destroy(made) }
      // 0: what is only in the log goes to files first, which are linked.
      try checked { rocksdb_checkpoint_create(made, path, 0, $0) }
    }
  }
#endif
