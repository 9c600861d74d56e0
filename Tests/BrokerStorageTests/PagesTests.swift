#if RocksDB
  import BrokerCore
  import BrokerStorage
  import Testing

  @Suite struct PagesTests {
    let bench = Workbench()

    private func filled(_ positions: ClosedRange<UInt64>, isTransient: Bool = false) throws -> Line {
      let line = try bench.open()
      try line.commit { batch in
        for position in positions { batch.add("m\(position)", 7, position, isTransient: isTransient) }
        batch.add("of another", 6, 1)
        batch.add("of another", 8, 1)
      }
      return line
    }

    @Test func `a page ends after so many messages and says that there are more`() throws {
      let line = try filled(1...5)
      defer { line.store.close() }
      let first = try line.read(7, messages: 3)
      #expect(first.records.map(\.position) == [1, 2, 3])
      #expect(!first.reachedEnd)
      let second = try line.read(7, 4..<100, messages: 3)
      #expect(second.records.map(\.position) == [4, 5])
      #expect(second.reachedEnd)
    }

    @Test func `a page that takes the last message has reached the end`() throws {
      let line = try filled(1...3)
      defer { line.store.close() }
      #expect(try line.read(7, messages: 3).reachedEnd)
    }

    @Test func `a page has at least one message however large it is`() throws {
      let line = try filled(1...3)
      defer { line.store.close() }
      let page = try line.read(7, octets: 1)
      #expect(page.records.map(\.position) == [1])
      #expect(!page.reachedEnd)
    }

    @Test func `a page ends when it has so many octets`() throws {
      let line = try filled(1...5)
      defer { line.store.close() }
      // A message has eight: x, k, no properties and two of its body.
      #expect(try line.read(7, octets: 9).records.map(\.position) == [1, 2])
    }

    @Test func `a page keeps to its positions`() throws {
      let line = try filled(1...5)
      defer { line.store.close() }
      #expect(try line.read(7, 2..<4).records.map(\.position) == [2, 3])
      #expect(try line.read(7, 4..<4).records.isEmpty)
      #expect(try line.read(9).reachedEnd)
    }

    @Test func `the highest numbers are in their order`() throws {
      let line = try bench.open()
      defer { line.store.close() }
      try line.commit {
        $0.add("a", .max, .max - 1)
        $0.add("b", .max, 255)
        $0.add("c", .max, 256)
      }
      #expect(try line.read(.max, 0 ..< .max).records.map(\.position) == [255, 256, .max - 1])
    }

    @Test func `durable and transient messages come merged by position`() throws {
      let line = try bench.open()
      defer { line.store.close() }
      try line.commit {
        for position: UInt64 in 1...6 { $0.add("m\(position)", 7, position, isTransient: position % 3 != 1) }
      }
      let page = try line.read(7, transient: true)
      #expect(page.records.map(\.position) == [1, 2, 3, 4, 5, 6])
      #expect(page.records.map(\.isTransient) == [false, true, true, false, true, true])
      #expect(try line.read(7).records.map(\.position) == [1, 4])
      #expect(try line.read(7, transient: true, durable: false).records.map(\.position) == [2, 3, 5, 6])
      let limited = try line.read(7, messages: 2, transient: true)
      #expect(limited.records.map(\.position) == [1, 2])
      #expect(!limited.reachedEnd)
    }

    @Test func `transient messages leave as ranges`() throws {
      let line = try filled(1...20, isTransient: true)
      defer { line.store.close() }
      try line.commit { batch in
        batch.set(7, StoreCursor()) { $0.removedTransient = [1..<4, 5..<19] }
      }
      #expect(try line.texts(7, transient: true) == ["4 m4", "19 m19", "20 m20"])
    }

    @Test(arguments: [2..<6, 2..<40] as [Range<UInt64>])
    func `a removed range is not seen`(_ range: Range<UInt64>) throws {
      let line = try filled(1...41)
      defer { line.store.close() }
      try line.commit { batch in batch.set(7, StoreCursor()) { $0.removedRanges = [range] } }
      #expect(try line.read(7).records.map(\.position) == (1...41).filter { !range.contains($0) })
      #expect(try line.texts(6) == ["1 of another"])
      #expect(try line.texts(8) == ["1 of another"])
    }

    @Test func `who does not look at ranges sees single removals all the same`() throws {
      let line = try filled(1...41)
      defer { line.store.close() }
      try line.commit { batch in
        batch.set(7, StoreCursor(head: 40)) {
          $0.removedRanges = [1..<40]
          $0.removedPositions = [41]
        }
      }
      let page = try line.read(7, 40..<100, respectsRanges: false)
      #expect(page.records.map(\.position) == [40])
    }

    @Test func `a message may be removed and written again in one batch`() throws {
      let line = try filled(1...3)
      defer { line.store.close() }
      try line.commit { batch in
        batch.set(7, StoreCursor()) { $0.removedPositions = [2] }
        batch.add("again", 7, 2)
      }
      #expect(try line.texts(7) == ["1 m1", "2 again", "3 m3"])
    }
  }
#endif
