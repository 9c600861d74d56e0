#if RocksDB
  import BrokerCore
  @testable import BrokerStorage
  import Foundation
  import Synchronization
  import Testing

  @Suite struct DirectoryTests {
    let bench = Workbench()
    private var path: String { bench.path }

    private func error(_ path: String? = nil) throws -> String {
      var text = ""
      do {
        try bench.open(at: path).store.close()
        Issue.record("it should not open")
      } catch let error as StoreError { text = error.description }
      #expect(!text.contains("\n"))
      return text
    }

    private func makeStore() throws { try bench.open().store.close() }

    @Test func `a directory is made with those above it`() throws {
      let line = try bench.open(at: path + "/a/b")
      line.store.close()
      #expect(FileManager.default.fileExists(atPath: path + "/a/b/format"))
    }

    @Test func `a directory that cannot be made is named with the reason`() throws {
      #expect(
        try error("/proc/yutu")
          == "cannot create the data directory /proc/yutu: No such file or directory")
    }

    @Test func `a file is no data directory`() throws {
      try "text".write(toFile: path, atomically: true, encoding: .utf8)
      #expect(try error() == "data directory \(path) is not a directory")
      #expect(try error(path + "/in") == "cannot create the data directory \(path)/in: Not a directory")
    }

    @Test func `a directory with other things in it is left alone`() throws {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      try "text".write(toFile: path + "/letter.txt", atomically: true, encoding: .utf8)
      #expect(
        try error() == "\(path) holds other things, such as letter.txt, and is no data directory of Yutu")
      #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["letter.txt"])
    }

    @Test func `a second process is told who has the directory`() throws {
      let line = try bench.open()
      #expect(try error() == "data directory \(path) is in use by process \(getpid())")
      line.store.close()
      try makeStore()
    }

    @Test func `a newer format is refused`() throws {
      try makeStore()
      try "2\n".write(toFile: path + "/format", atomically: true, encoding: .utf8)
      #expect(try error() == "data directory \(path) has format 2, this version reads format 1")
    }

    @Test func `a format that is no number is damage`() throws {
      try makeStore()
      try "x".write(toFile: path + "/format", atomically: true, encoding: .utf8)
      #expect(
        try error()
          == "data directory \(path) is damaged: its file \"format\" has no number;"
          + " see yutu store check --data-dir \(path)")
    }

    @Test func `a file of RocksDB that is damaged is named`() throws {
      try makeStore()
      try "MANIFEST-999999\n".write(toFile: path + "/store/CURRENT", atomically: true, encoding: .utf8)
      let text = try error()
      #expect(text.hasPrefix("data directory \(path) is damaged: "))
      #expect(text.contains("MANIFEST-999999"))
      #expect(text.hasSuffix("; see yutu store check --data-dir \(path)"))
    }

    @Test func `tables without their list are not written over`() throws {
      try makeStore()
      try FileManager.default.removeItem(atPath: path + "/store/CURRENT")
      let before = try FileManager.default.contentsOfDirectory(atPath: path + "/store").sorted()
      #expect(try error().contains("store/CURRENT is missing"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: path + "/store").sorted() == before)
    }

    @Test func `after a failed start the directory is free again`() throws {
      try makeStore()
      let current = try String(contentsOfFile: path + "/store/CURRENT", encoding: .utf8)
      try "MANIFEST-999999\n".write(toFile: path + "/store/CURRENT", atomically: true, encoding: .utf8)
      _ = try error()
      try current.write(toFile: path + "/store/CURRENT", atomically: true, encoding: .utf8)
      try makeStore()
    }

    @Test func `a cursor that cannot be read is damage`() throws {
      try makeStore()
      try plant(path, .cursors, RecordForm.cursorKey(4), [9, 9])
      let line = try bench.open()
      defer { line.store.close() }
      #expect(throws: StoreError.self) { try line.store.recover() }
    }

    @Test func `a record that is damaged is passed over`() throws {
      let line = try bench.open()
      try line.commit { for position: UInt64 in 1...6 { $0.add("m", 7, position) } }
      line.store.close()
      try plant(path, .messages, RecordForm.messageKey(7, 1), [])
      try plant(path, .messages, RecordForm.messageKey(7, 2), [0x20, 0, 4, 0, 0, 0, 2])
      try plant(path, .messages, RecordForm.messageKey(7, 3), [0x13, 0, 4, 0, 0, 0, 2])
      try plant(path, .messages, RecordForm.messageKey(7, 4), [0x10, 255, 255, 255, 255, 255, 255, 1])
      try plant(path, .messages, RecordForm.octets(7) + [0, 1], [1])
      let again = try bench.open()
      defer { again.store.close() }
      let page = try again.read(7)
      #expect(page.records.map(\.position) == [5, 6])
      #expect(page.reachedEnd)
      #expect(page.problem == "queue 7 has a damaged record at 1 (and 3 problems more)")
    }

    // MARK: room

    private func room(free: Int, limit: Int, octets: Int) throws -> StoreRoom {
      let line = try bench.open(.init(durability: .os, diskFreeLimit: limit, freeSpace: { _ in free }))
      defer { line.store.close() }
      return line.store.room(for: octets)
    }

    @Test func `a disk that fills says so before its limit is crossed`() throws {
      let mebi = 1 << 20
      #expect(try room(free: 300 * mebi, limit: 256 * mebi, octets: 44 * mebi) == .enough)
      let text = "\(path) has 300 MiB free, the limit is 256 MiB"
      #expect(try room(free: 300 * mebi, limit: 256 * mebi, octets: 45 * mebi) == .low(text))
      #expect(try room(free: 300 * mebi, limit: 256 * mebi, octets: 268 * mebi) == .low(text))
      #expect(try room(free: 300 * mebi, limit: 256 * mebi, octets: 269 * mebi) == .none(text))
      #expect(try room(free: 5 * mebi, limit: 8 * mebi, octets: 3 * mebi) != .enough)
      #expect(try room(free: 0, limit: 0, octets: 0) == .enough)
    }

    @Test func `what is under way counts as written`() throws {
      let mebi = 1 << 20
      let line = try bench.open(
        .init(durability: .os, diskFreeLimit: 10 * mebi, freeSpace: { _ in 13 * mebi }))
      defer { line.store.close() }
      let large = String(repeating: "x", count: 3 * mebi)
      var batch = StoreBatch()
      batch.add(large, 7, 1)
      var outcome: StoreOutcome?
      line.store.commit(batch) { outcome = $0 }
      #expect(line.store.room(for: mebi) != .enough)
      while outcome == nil { try bench.loop.runNext() }
      #expect(line.store.room(for: mebi) == .enough)
    }

    @Test func `the system is asked how much is free`() throws {
      let line = try bench.open(.init(durability: .os, diskFreeLimit: 0))
      defer { line.store.close() }
      #expect(line.store.room(for: 1) == .enough)
      #expect(line.store.room(for: 1 << 60) != .enough)
    }
  }
#endif
