#if RocksDB
  import BrokerCore
  import Foundation

  /// The data directory: whose it is, which format it has, and how much room there is. Knows no RocksDB.
  ///
  ///     DIR/yutu.lock   held while a process uses the directory; its process id
  ///     DIR/format      the number of the format, in decimal
  ///     DIR/store/      RocksDB's files
  struct StoreDirectory {
    static let format = 1
    let path: String
    private let lock: Int32

    var storePath: String { path + "/store" }

    /// - Parameters:
    ///   - creates: makes it if it is not there, and gives it a format if it has none
    ///   - patienceMilliseconds: how long to wait for another process to let go of it
    init(path: String, creates: Bool, patienceMilliseconds: Int = 0) throws(StoreError) {
      self.path = path
      if creates { try Self.create(path) } else { try Self.mustBeStore(path) }
      try Self.refuseForeign(path)
      lock = try creates ? Self.lock(path, patienceMilliseconds) : Self.lockForReading(path)
      do throws(StoreError) {
        switch try Self.format(of: path) {
        case nil: try Self.writeFormat(to: path)
        case Self.format?: break
        case let other?:
          throw StoreError(
            "data directory \(path) has format \(other), this version reads format \(Self.format)")
        }
      } catch {
        release()
        throw error
      }
    }

    func release() { if lock >= 0 { close(lock) } }

    // MARK: making it

    static func create(_ path: String) throws(StoreError) {
      var made = path.hasPrefix("/") ? "/" : ""
      for part in path.split(separator: "/") {
        made += made.isEmpty || made.hasSuffix("/") ? part : "/" + part
        guard mkdir(made, 0o750) != 0, errno != EEXIST, errno != EISDIR else {
          syncNames(in: made + "/..")
          continue
        }
        let reason = errno
        guard !isDirectory(made) else { continue }
        throw StoreError("cannot create the data directory \(path): \(text(reason))")
      }
      guard isDirectory(path) else { throw StoreError("data directory \(path) is not a directory") }
    }

    private static func mustBeStore(_ path: String) throws(StoreError) {
      guard isDirectory(path) else { throw StoreError("data directory \(path) is not a directory") }
      guard try format(of: path) != nil else { throw StoreError("there is no store in \(path)") }
    }

    /// What belongs to somebody else is left alone.
    private static func refuseForeign(_ path: String) throws(StoreError) {
      guard try format(of: path) == nil else { return }
      let ours: Set<String> = ["yutu.lock", "format.new", "lost+found"]
      let names: [String]
      do { names = try FileManager.default.contentsOfDirectory(atPath: path) } catch {
        throw StoreError("cannot read the data directory \(path): \(text(errno))")
      }
      guard let foreign = names.filter({ !ours.contains($0) }).min() else { return }
      throw StoreError("\(path) holds other things, such as \(foreign), and is no data directory of Yutu")
    }

    private static func lock(_ path: String, _ milliseconds: Int) throws(StoreError) -> Int32 {
      let file = path + "/yutu.lock"
      let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
      guard descriptor >= 0 else {
        throw StoreError("cannot write to the data directory \(path): \(text(errno))")
      }
      try hold(descriptor, path, milliseconds)
      guard ftruncate(descriptor, 0) == 0, put("\(getpid())\n", to: descriptor) else {
        let reason = errno
        close(descriptor)
        throw StoreError("cannot write to the data directory \(path): \(text(reason))")
      }
      return descriptor
    }

    /// Leaves the file as it is, and does without where there is none: then nobody has the store open.
    private static func lockForReading(_ path: String) throws(StoreError) -> Int32 {
      let descriptor = open(path + "/yutu.lock", O_RDONLY | O_CLOEXEC)
      if descriptor >= 0 { try hold(descriptor, path, 0) }
      return descriptor
    }

    private static func hold(
      _ descriptor: Int32, _ path: String, _ milliseconds: Int
    ) throws(StoreError) {
      var left = milliseconds
      while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
        // A process that was killed keeps it until its last write is through.
        if errno == EWOULDBLOCK, left > 0 {
          usleep(20_000)
          left -= 20
          continue
        }
        let reason = errno
        close(descriptor)
        guard reason == EWOULDBLOCK else {
          throw StoreError("cannot lock the data directory \(path): \(text(reason))")
        }
        let holder = contents(path + "/yutu.lock")?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
        throw StoreError(
          "data directory \(path) is in use by \(holder.isEmpty ? "another process" : "process \(holder)")")
      }
    }

    // MARK: the format

    private static func format(of path: String) throws(StoreError) -> Int? {
      guard let text = contents(path + "/format") else { return nil }
      guard let number = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
        throw StoreError(
          "data directory \(path) is damaged: its file \"format\" has no number;"
            + " see yutu store check --data-dir \(path)")
      }
      return number
    }

    /// First beside it, so that there is never half a file.
    static func writeFormat(to path: String) throws(StoreError) {
      let new = path + "/format.new"
      let descriptor = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o640)
      let isWritten =
        descriptor >= 0 && put("\(format)\n", to: descriptor) && fsync(descriptor) == 0
      let reason = errno
      if descriptor >= 0 { close(descriptor) }
      guard isWritten, rename(new, path + "/format") == 0 else {
        throw StoreError("cannot write to the data directory \(path): \(text(isWritten ? errno : reason))")
      }
      syncNames(in: path)
    }

    /// The names in a folder are safe only when the folder itself is synced.
    static func syncNames(in path: String) {
      let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      if directory >= 0 {
        fsync(directory)
        close(directory)
      }
    }

    // MARK: room

    /// Octets that this process may still write to the file system, nil if it does not say.
    static func freeSpace(at path: String) -> Int? {
      var answer = statvfs()
      guard statvfs(path, &answer) == 0 else { return nil }
      return Int(clamping: UInt64(answer.f_bavail).multipliedReportingOverflow(by: UInt64(answer.f_frsize)).0)
    }

    // MARK: the system

    static func isDirectory(_ path: String) -> Bool {
      var answer = stat()
      return stat(path, &answer) == 0 && answer.st_mode & S_IFMT == S_IFDIR
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func names(_ path: String) -> [String] {
      (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    }

    static func text(_ error: Int32) -> String { String(cString: strerror(error)) }

    /// Of small files only.
    private static func contents(_ path: String) -> String? {
      guard let octets = FileManager.default.contents(atPath: path) else { return nil }
      return String(decoding: octets.prefix(64), as: UTF8.self)
    }

    private static func put(_ text: String, to descriptor: Int32) -> Bool {
      var text = text
      return text.withUTF8 { write(descriptor, $0.baseAddress, $0.count) == $0.count }
    }
  }
#endif
