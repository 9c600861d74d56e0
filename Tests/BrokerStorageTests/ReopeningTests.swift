#if RocksDB
  import BrokerCore
  @testable import BrokerStorage
  import Foundation
  import Testing

  @Suite struct ReopeningTests {
    let bench = Workbench()

    @Test func `an empty store has nothing`() throws {
      let line = try bench.open()
      defer { line.store.close() }
      let recovered = try line.store.recover()
      #expect(recovered.definitions.isEmpty)
      #expect(recovered.cursors.isEmpty)
    }

    @Test func `definitions come back in the order of their keys`() throws {
      let line = try bench.open()
      try line.commit { batch in
        batch.definitions = [([2, 255], [9]), ([1], [7, 8]), ([3], []), ([1, 0], [])]
        batch.definitions += [([4], [1]), ([4], nil)]
      }
      try line.commit { $0.definitions = [([2, 255], [10])] }
      line.store.close()
      let again = try bench.open()
      defer { again.store.close() }
      let recovered = try again.store.recover()
      #expect(recovered.definitions.map(\.key) == [[1], [1, 0], [2, 255], [3]])
      #expect(recovered.definitions.map(\.value) == [[7, 8], [], [10], []])
    }

    @Test func `cursors come back as they were last`() throws {
      let cursor = StoreCursor(head: 3, tail: 9, count: 4, octets: 1234, deliveredUpTo: 8, holesBelow: 6)
      let line = try bench.open()
      try line.commit {
        $0.set(5, StoreCursor())
        $0.set(.max, StoreCursor(tail: .max))
      }
      try line.commit { $0.set(5, cursor) }
      line.store.close()
      let again = try bench.open()
      defer { again.store.close() }
      #expect(try again.store.recover().cursors == [5: cursor, .max: StoreCursor(tail: .max)])
    }

    @Test func `transient messages are gone and durable ones are not`() throws {
      let line = try bench.open()
      try line.commit {
        $0.add("kept", 7, 1)
        $0.add("lost", 7, 2, isTransient: true)
      }
      line.store.close()
      let again = try bench.open()
      defer { again.store.close() }
      #expect(try again.texts(7, transient: true) == ["1 kept"])
    }

    @Test func `a queue leaves with all that it had`() throws {
      let line = try bench.open()
      try line.commit {
        for queue: UInt64 in 6...8 {
          $0.set(queue, StoreCursor(tail: 2, count: 1))
          $0.add("durable", queue, 1)
          $0.add("transient", queue, 2, isTransient: true)
        }
      }
      try line.commit { $0.set(7, nil) }
      #expect(try line.texts(7, transient: true).isEmpty)
      #expect(try line.texts(6, transient: true).count == 2)
      #expect(try line.texts(8, transient: true).count == 2)
      line.store.close()
      let again = try bench.open()
      defer { again.store.close() }
      #expect(try again.store.recover().cursors.keys.sorted() == [6, 8])
      #expect(try again.texts(7).isEmpty)
      #expect(try again.texts(8) == ["1 durable"])
    }

    @Test(arguments: RocksStore.Durability.allCases)
    func `what was settled is there after a crash`(_ durability: RocksStore.Durability) throws {
      let line = try bench.open(.init(durability: durability))
      for position: UInt64 in 1...300 {
        try line.commit {
          $0.definitions = [([1], [UInt8(truncatingIfNeeded: position)])]
          $0.add("m\(position)", 7, position)
          $0.set(7, StoreCursor(head: position / 2 + 1, tail: position)) {
            $0.removedPositions = position % 2 == 0 ? [position / 2] : []
          }
        }
      }
      let copy = try bench.copy()
      defer { try? FileManager.default.removeItem(atPath: copy) }
      line.store.close()
      let again = try bench.open(at: copy)
      defer { again.store.close() }
      let recovered = try again.store.recover()
      #expect(recovered.cursors == [7: StoreCursor(head: 151, tail: 300)])
      #expect(recovered.definitions.map(\.value) == [[44]])
      #expect(try again.read(7).records.map(\.position) == Array(151...300))
    }

    @Test func `closing waits for what was handed over`() throws {
      let line = try bench.open()
      for position: UInt64 in 1...50 {
        var batch = StoreBatch()
        batch.add("m", 7, position)
        line.store.commit(batch) { _ in Issue.record("nothing is called after the end") }
      }
      line.store.close()
      try bench.loop.runAll()
      let again = try bench.open()
      defer { again.store.close() }
      #expect(try again.read(7).records.count == 50)
    }

    @Test func `batches are settled in their order`() throws {
      let line = try bench.open()
      defer { line.store.close() }
      var settled: [UInt64] = []
      for position: UInt64 in 1...50 {
        var batch = StoreBatch()
        batch.add("m", 7, position)
        line.store.commit(batch) { outcome in
          #expect(outcome == .settled)
          settled.append(position)
        }
      }
      #expect(settled.isEmpty)
      while settled.count < 50 { try bench.loop.runNext() }
      #expect(settled == Array(1...50))
    }

    @Test func `a queue that was drained gives its files back`() throws {
      let line = try bench.open()
      try line.commit { batch in
        for position: UInt64 in 1...40_000 { batch.add("m", 7, position) }
        batch.set(7, StoreCursor(tail: 40_000, count: 40_000))
      }
      line.store.close()
      let database = try RocksDatabase(bench.path + "/store")
      try database.compact(.messages)
      database.close()
      let size = try tables()
      #expect(size > 1_000_000)
      let again = try bench.open()
      defer { again.store.close() }
      try again.commit { batch in
        batch.set(7, StoreCursor(head: 40_000, tail: 40_000, count: 1)) { $0.removedRanges = [1..<40_000] }
      }
      #expect(try again.texts(7) == ["40000 m"])
      #expect(try tables() == size)
      try again.commit { for position: UInt64 in 40_001...60_000 { $0.add("m", 7, position) } }
      try again.commit { batch in
        batch.set(7, StoreCursor(head: 60_000, tail: 60_000, count: 1)) {
          $0.removedRanges = [40_000..<60_000]
        }
      }
      #expect(try again.texts(7) == ["60000 m"])
      #expect(try tables() < size / 2)
    }

    /// Octets of all tables.
    private func tables() throws -> Int {
      let folder = bench.path + "/store/"
      return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".sst") }
        .reduce(0) { sum, name in
          sum + (try FileManager.default.attributesOfItem(atPath: folder + name)[.size] as? Int ?? 0)
        }
    }
  }
#endif
