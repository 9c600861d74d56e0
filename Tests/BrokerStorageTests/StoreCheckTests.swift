#if RocksDB
  import BrokerCore
  @testable import BrokerStorage
  import BrokerTestKit
  import Foundation
  import Testing

  @Suite struct StoreCheckTests {
    let bench = Workbench()
    private var path: String { bench.path }

    private func filled() throws {
      let line = try bench.open()
      try line.commit { batch in
        batch.definitions = [([1, 1, 47, 113], [])]
        let shared = Message.of("shared by two")
        let body = SharedBody(queue: 6, position: 1)
        for queue: UInt64 in 6...7 {
          batch.records.append(.init(queue: queue, position: 1, message: shared, sharedBody: body))
          batch.add("m", queue, 2)
          let octets = shared.octets.count + Message.of("m", exchange: "x", key: "k").octets.count
          batch.set(queue, StoreCursor(head: 1, tail: 2, count: 2, octets: octets))
        }
        batch.add("lost", 7, 3, isTransient: true)
      }
      line.store.close()
    }

    private func problems() throws -> [String] { try StoreCheck.run(directory: path).problems }

    @Test func `a sound store is described`() throws {
      try filled()
      let report = try StoreCheck.run(directory: path)
      #expect(report.problems.isEmpty)
      #expect(
        report.lines == [
          "\(path) has a store of format 1", "1 definitions",
          "2 queues with 4 messages of together 48 octets",
          "1 bodies that are kept for several queues, of together 13 octets",
        ])
    }

    @Test func `an empty store is sound`() throws {
      try bench.open().store.close()
      #expect(try problems().isEmpty)
    }

    @Test func `a check changes nothing`() throws {
      try filled()
      let before = try FileManager.default.contentsOfDirectory(atPath: path + "/store").sorted()
      _ = try problems()
      let after = try FileManager.default.contentsOfDirectory(atPath: path + "/store").sorted()
      #expect(before.filter { !$0.hasPrefix("LOG") } == after.filter { !$0.hasPrefix("LOG") })
    }

    @Test func `what is below the head is no problem`() throws {
      try filled()
      let line = try bench.open()
      try line.commit { $0.set(7, StoreCursor(head: 3, tail: 2)) }
      line.store.close()
      let report = try StoreCheck.run(directory: path)
      #expect(report.problems.isEmpty)
      #expect(report.lines.contains("2 messages that are not wanted any more, and go with time"))
    }

    @Test func `a definition that is no table is found`() throws {
      try filled()
      try plant(path, .definitions, Array("q".utf8), [1])
      #expect(try problems() == ["the definition \"q\" is no table of fields"])
    }

    @Test func `a cursor that cannot be read is found`() throws {
      try filled()
      try plant(path, .cursors, RecordForm.cursorKey(9), [1])
      #expect(try problems() == ["the cursor of queue 9 cannot be read"])
    }

    @Test func `a damaged record is found, and that it does not count`() throws {
      try filled()
      try plant(path, .messages, RecordForm.messageKey(7, 2), [1])
      #expect(
        try problems() == [
          "queue 7 has a damaged record at 2",
          "queue 7 should have 2 messages of 24 octets, and has 1 of 17",
        ])
    }

    @Test func `messages of a queue that is not there are found`() throws {
      try filled()
      let line = try bench.open()
      try line.commit { $0.add("m", 9, 1) }
      line.store.close()
      #expect(try problems() == ["there are 1 messages of queue 9, which has no cursor"])
    }

    @Test func `a body that nobody needs is found`() throws {
      try filled()
      try plant(path, .bodies, RecordForm.bodyKey(SharedBody(queue: 4, position: 5)), [1])
      #expect(try problems() == ["no message needs the body 4/5, and no sweep will find it"])
    }

    @Test func `bodies that a killed process has not deleted are no problem`() throws {
      try filled()
      try plant(path, .bodies, RecordForm.bodyKey(SharedBody(queue: 4, position: 5)), [1])
      try plant(
        path, .bodies, RecordForm.bodyKey(SharedBody(queue: 4, position: 5), RecordForm.markerPrefix), [])
      let report = try StoreCheck.run(directory: path)
      #expect(report.problems.isEmpty)
      #expect(report.lines.last == "1 of them no message needs any more; the next start takes them away")
    }

    @Test func `a marker whose body is missing is found`() throws {
      try filled()
      let name = SharedBody(queue: 4, position: 5)
      try plant(path, .bodies, RecordForm.markerKey(name, queue: 7, position: 2), [])
      #expect(try problems() == ["the body 4/5 is needed, and is missing"])
    }

    @Test func `a key that is none is found in each family`() throws {
      try filled()
      try plant(path, .cursors, [1, 2], [])
      try plant(path, .messages, [1, 2], [])
      try plant(path, .bodies, [RecordForm.bodyPrefix, 2], [])
      try plant(path, .bodies, [RecordForm.markerPrefix, 2], [])
      #expect(
        try problems() == [
          "there is a key among the cursors that is none: [1, 2]",
          "there is a key among the messages that is none: [1, 2]",
          "there is a key among the bodies that is none: [109, 2]",
          "there is a key among the bodies that is none: [98, 2]",
        ])
    }

    @Test func `a store in use is not checked`() throws {
      let line = try bench.open()
      defer { line.store.close() }
      #expect(throws: StoreError("data directory \(path) is in use by process \(getpid())")) {
        try StoreCheck.run(directory: path)
      }
    }

    @Test func `there has to be a store`() throws {
      #expect(throws: StoreError("data directory \(path) is not a directory")) {
        try StoreCheck.run(directory: path)
      }
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      #expect(throws: StoreError("there is no store in \(path)")) { try StoreCheck.run(directory: path) }
    }

    @Test func `a store that does not open is a problem`() throws {
      try filled()
      try "MANIFEST-999999\n".write(toFile: path + "/store/CURRENT", atomically: true, encoding: .utf8)
      #expect(try problems().first?.hasPrefix("RocksDB cannot open the store: ") == true)
      try FileManager.default.removeItem(atPath: path + "/store/CURRENT")
      #expect(
        try problems() == ["store/CURRENT is missing, though there are other files of a store"])
    }

    // MARK: files

    /// Writes octets over the middle of the largest table.
    private func damageTable() throws {
      let folder = path + "/store/"
      let tables = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".sst") }
      let sizes = try tables.map { name in
        (name, try FileManager.default.attributesOfItem(atPath: folder + name)[.size] as? Int ?? 0)
      }
      let largest = try #require(sizes.max { $0.1 < $1.1 })
      let file = try #require(FileHandle(forUpdatingAtPath: folder + largest.0))
      try file.seek(toOffset: UInt64(largest.1 / 2))
      try file.write(contentsOf: Data(repeating: 0xA5, count: 64))
      try file.close()
    }

    private func filledTable() throws {
      let line = try bench.open()
      try line.commit { batch in
        for position: UInt64 in 1...2000 { batch.add(String(repeating: "m", count: 1000), 7, position) }
        batch.add("of another", 8, 1)
        batch.set(7, StoreCursor(tail: 2000, count: 2000, octets: 2_012_000))
        batch.set(8, StoreCursor(tail: 1, count: 1, octets: 16))
      }
      line.store.close()
      let database = try RocksDatabase(path + "/store")
      defer { database.close() }
      try database.compact(.messages)
    }

    @Test func `a damaged block is passed over, and what stands behind it is read`() throws {
      try filledTable()
      try damageTable()
      let line = try bench.open()
      defer { line.store.close() }
      let page = try line.read(7, messages: 5000, octets: 1 << 30)
      #expect(page.reachedEnd)
      #expect(page.records.count < 2000)
      #expect(page.records.count >= 1960)
      #expect(page.records.first?.position == 1)
      #expect(page.records.last?.position == 2000)
      #expect(page.problem?.contains("Corruption") == true)
      #expect(try line.texts(8) == ["1 of another"])
    }

    @Test func `a damaged block is found`() throws {
      try filledTable()
      #expect(try problems().isEmpty)
      try damageTable()
      let found = try problems()
      #expect(found.count == 2)
      #expect(found.first?.hasPrefix("messages of queue 7 from ") == true)
      #expect(found.last?.hasPrefix("queue 7 should have 2000 messages of 2012000 octets") == true)
    }

    // MARK: backups

    @Test func `a backup has all of it`() throws {
      try filled()
      let copy = path + "-copy"
      defer { try? FileManager.default.removeItem(atPath: copy) }
      try StoreBackup.make(of: path, to: copy)
      #expect(try StoreCheck.run(directory: copy).problems.isEmpty)
      let line = try bench.open(at: copy)
      defer { line.store.close() }
      #expect(try line.texts(7) == ["1 shared by two", "2 m"])
      #expect(throws: StoreError("\(copy) is there already; a backup needs a new directory")) {
        try StoreBackup.make(of: path, to: copy)
      }
    }

    @Test func `a store in use is not copied`() throws {
      let line = try bench.open()
      defer { line.store.close() }
      #expect(throws: StoreError.self) { try StoreBackup.make(of: path, to: path + "-copy") }
      #expect(!FileManager.default.fileExists(atPath: path + "-copy"))
    }
  }
#endif
