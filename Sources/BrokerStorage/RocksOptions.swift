#if RocksDB
  import CRocksDB

  /// How RocksDB is to go about it: little memory, one writer, queues that are written at one end and read at
  /// the other. Knows no record.
  /// @unchecked Sendable: set in `init` and not changed; RocksDB reads them from any thread.
  final class RocksOptions: @unchecked Sendable {
    enum Writing: CaseIterable {
      /// Is safe when the call returns.
      case synced
      /// Is safe from the end of the process, not of the machine.
      case logged
      /// Is gone with the process.
      case unlogged
    }

    /// Messages are gathered here in memory before they go to a file; most are acknowledged before that.
    static let messageBuffer = 8 << 20
    static let bodyBuffer = 8 << 20
    static let smallBuffer = 1 << 20
    /// All of them together, with what is being written to files.
    static let buffers = 40 << 20
    /// What a start has to read again at most: some tenths of a second.
    static let mostLog: UInt64 = 64 << 20
    /// Of indices, too, which then need not all be in memory.
    static let blockCache = 4 << 20
    static let blockSize = 16 << 10
    static let fileSize: UInt64 = 64 << 20

    let database: OpaquePointer
    let pointReads: OpaquePointer
    private let large: OpaquePointer
    private let medium: OpaquePointer
    private let small: OpaquePointer
    private let writing: [Writing: OpaquePointer]

    init() {
      crocksdb_bound_arenas()
      database = rocksdb_options_create()
      large = rocksdb_options_create()
      medium = rocksdb_options_create()
      small = rocksdb_options_create()
      pointReads = rocksdb_readoptions_create()
      rocksdb_readoptions_set_fill_cache(pointReads, 0)
      var writing: [Writing: OpaquePointer] = [:]
      for how in Writing.allCases {
        let made = rocksdb_writeoptions_create()
        rocksdb_writeoptions_set_sync(made, how == .synced ? 1 : 0)
        rocksdb_writeoptions_disable_WAL(made, how == .unlogged ? 1 : 0)
        writing[how] = made
      }
      self.writing = writing
      Self.setDatabase(database)
      let cache = rocksdb_cache_create_lru(Self.blockCache)
      Self.setFamily(large, buffer: Self.messageBuffer, cache: cache)
      Self.setFamily(medium, buffer: Self.bodyBuffer, cache: cache)
      Self.setFamily(small, buffer: Self.smallBuffer, cache: cache)
      // The tables hold it from now on.
      rocksdb_cache_destroy(cache)
    }

    /// An incomplete last record is tolerated, damage before it is not (`kTolerateCorruptedTailRecords`).
    func doubtLog() { rocksdb_options_set_wal_recovery_mode(database, 0) }

    deinit {
      for options in [database, large, medium, small] { rocksdb_options_destroy(options) }
      rocksdb_readoptions_destroy(pointReads)
      for options in writing.values { rocksdb_writeoptions_destroy(options) }
    }

    func of(_ family: RocksDatabase.Family) -> OpaquePointer {
      switch family {
      case .messages: large
      case .bodies, .transient: medium
      case .cursors, .definitions: small
      }
    }

    func of(_ how: Writing) -> OpaquePointer? { writing[how] }

    private static func setDatabase(_ options: OpaquePointer) {
      rocksdb_options_set_create_if_missing(options, 1)
      rocksdb_options_set_create_missing_column_families(options, 1)
      // Its own log: warnings and errors, in two files.
      rocksdb_options_set_info_log_level(options, 2)
      rocksdb_options_set_keep_log_file_num(options, 2)
      rocksdb_options_set_max_log_file_size(options, 1 << 20)
      rocksdb_options_set_stats_dump_period_sec(options, 0)
      rocksdb_options_set_stats_persist_period_sec(options, 0)
      rocksdb_options_set_max_manifest_file_size(options, 4 << 20)
      // Used logs are not written over, though a sync takes longer without (0.17 for 0.09 ms): RocksDB 7.8.3 takes
      // that with no recovery mode but 3, and then a flush ends the process (a null pointer in MarkLogsSynced).
      rocksdb_options_set_max_total_wal_size(options, mostLog)
      rocksdb_options_set_db_write_buffer_size(options, buffers)
      rocksdb_options_set_max_background_jobs(options, 2)
      rocksdb_options_set_max_open_files(options, 256)
      rocksdb_options_set_skip_stats_update_on_db_open(options, 1)
      rocksdb_options_set_skip_checking_sst_file_sizes_on_db_open(options, 1)
      rocksdb_options_set_allow_concurrent_memtable_write(options, 0)
      rocksdb_options_set_is_fd_close_on_exec(options, 1)
    }

    private static func setFamily(_ options: OpaquePointer, buffer: Int, cache: OpaquePointer?) {
      rocksdb_options_set_write_buffer_size(options, buffer)
      rocksdb_options_set_max_write_buffer_number(options, 2)
      rocksdb_options_set_compression(options, 0)
      rocksdb_options_set_target_file_size_base(options, fileSize)
      let table = rocksdb_block_based_options_create()
      rocksdb_block_based_options_set_block_size(table, blockSize)
      rocksdb_block_based_options_set_block_cache(table, cache)
      rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1)
      rocksdb_block_based_options_set_format_version(table, 5)
      rocksdb_options_set_block_based_table_factory(options, table)
      rocksdb_block_based_options_destroy(table)
    }
  }
#endif
