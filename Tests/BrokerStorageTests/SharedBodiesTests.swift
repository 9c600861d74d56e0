#if RocksDB
  import BrokerCore
  @testable import BrokerStorage
  import BrokerTestKit
  import Foundation
  import Testing

  @Suite struct SharedBodiesTests {
    let bench = Workbench()
    let body = SharedBody(queue: 6, position: 11)
    let text = String(repeating: "body", count: 2000)

    /// A body that three queues share, at the positions 11, 12 and 13.
    private func filled() throws -> Line {
      let line = try bench.open()
      try line.commit { batch in
        let message = Message.of(text, exchange: "x", key: "k")
        for queue: UInt64 in 6...8 {
          batch.records.append(.init(queue: queue, position: queue + 5, message: message, sharedBody: body))
          batch.set(queue, StoreCursor(head: queue + 5, tail: queue + 5, count: 1))
        }
      }
      return line
    }

    private func release(_ queue: UInt64, _ line: Line) throws {
      try line.commit { batch in
        batch.set(queue, StoreCursor(head: queue + 6, tail: queue + 5)) {
          $0.removedPositions = [queue + 5]
          $0.releasedBodies = [(body, queue + 5)]
        }
      }
      // The reader has freed what it could before it answers.
      _ = try line.read(queue)
    }

    /// Keys of the family, by their first octet.
    private func keys(_ path: String? = nil) throws -> [String] {
      let database = try RocksDatabase((path ?? bench.path) + "/store", readOnly: true)
      defer { database.close() }
      let scan = RocksScan(database, .bodies, to: [255])
      var found: [String] = []
      while scan.isAtKey {
        found.append("\(Character(UnicodeScalar(scan.key[0])))\(scan.key.count)")
        scan.advance()
      }
      return found
    }

    @Test func `a body for several queues is kept once`() throws {
      let line = try filled()
      for queue: UInt64 in 6...8 {
        let item = try #require(try line.read(queue).records.first)
        #expect(item.message.bodyText == text)
        #expect(item.sharedBody == body)
        #expect(item.message.header.sharedBody == body)
      }
      line.store.close()
      #expect(try keys() == ["b17", "m17", "m33", "m33", "m33"])
    }

    @Test func `a body stays until the last queue lets go of it`() throws {
      let line = try filled()
      try release(6, line)
      try release(8, line)
      #expect(try line.read(7).records.first?.message.bodyText == text)
      try release(7, line)
      line.store.close()
      #expect(try keys().isEmpty)
    }

    @Test func `a body stays across a start until the last queue lets go of it`() throws {
      let line = try filled()
      try release(6, line)
      line.store.close()
      let again = try bench.open()
      _ = try again.store.recover()
      try release(7, again)
      #expect(try again.read(8).records.first?.message.bodyText == text)
      try release(8, again)
      again.store.close()
      #expect(try keys().isEmpty)
    }

    @Test func `what a crash left over is swept at the start`() throws {
      let line = try filled()
      try line.commit { batch in
        // Two are gone without having let go of the body, as if the release had been lost.
        batch.set(6, nil)
        batch.set(7, StoreCursor(head: 13, tail: 13))
        batch.set(8, StoreCursor(head: 14, tail: 14))
      }
      line.store.close()
      let again = try bench.open()
      _ = try again.store.recover()
      _ = try again.read(7)
      again.store.close()
      #expect(try keys().isEmpty)
    }

    @Test func `the sweep leaves what is needed`() throws {
      let line = try filled()
      line.store.close()
      let again = try bench.open()
      _ = try again.store.recover()
      #expect(try again.read(7).records.count == 1)
      again.store.close()
      #expect(try keys() == ["b17", "m17", "m33", "m33", "m33"])
    }

    @Test func `queues that are deleted let go of their bodies`() throws {
      let line = try filled()
      try line.commit { batch in for queue: UInt64 in 6...8 { batch.set(queue, nil) } }
      // The sweep stands before this in the reader's queue.
      _ = try line.read(7)
      line.store.close()
      #expect(try keys().isEmpty)
    }

    @Test func `bodies of many messages that went unread are swept`() throws {
      let line = try bench.open()
      try line.commit { batch in
        for position: UInt64 in 1...5000 {
          batch.add("a", 6, position, body: SharedBody(queue: 6, position: position))
        }
        batch.set(6, StoreCursor(tail: 5000, count: 5000))
      }
      try line.commit { batch in
        batch.set(6, StoreCursor(head: 5000, tail: 5000, count: 1)) { $0.removedRanges = [1..<5000] }
      }
      // Twice 4096 keys, and the rest: each step asks for the next on the loop.
      for _ in 0..<2 { try bench.loop.runNext() }
      _ = try line.read(6)
      line.store.close()
      #expect(try keys() == ["b17", "m17", "m33"])
    }

    @Test func `many bodies are swept part by part`() throws {
      let line = try bench.open()
      try line.commit { batch in
        for position: UInt64 in 1...6000 {
          let name = SharedBody(queue: 6, position: position)
          batch.add("a", 6, position, body: name)
        }
        batch.set(6, StoreCursor(tail: 6000, count: 6000))
      }
      try line.commit { $0.set(6, StoreCursor(head: 5999, tail: 6000, count: 2)) }
      line.store.close()
      let again = try bench.open()
      _ = try again.store.recover()
      // Twice 4096 keys, and the rest: each step asks for the next on the loop.
      for _ in 0..<3 { try bench.loop.runNext() }
      _ = try again.read(6)
      again.store.close()
      #expect(try keys() == ["b17", "b17", "m17", "m33", "m17", "m33"])
    }

    @Test func `a record whose body is missing is passed over`() throws {
      let line = try bench.open()
      defer { line.store.close() }
      try line.commit { batch in
        let message = Message.of(text)
        batch.records.append(.init(queue: 6, position: 1, message: message, sharedBody: body))
        batch.add("whole", 6, 2)
      }
      try line.commit { batch in
        batch.set(6, StoreCursor()) { $0.releasedBodies = [(body, 1)] }
      }
      _ = try line.read(6)
      let page = try line.read(6)
      #expect(page.records.map(\.position) == [2])
      #expect(page.problem == "queue 6 has at 1 a record whose body is missing")
    }
  }
#endif
