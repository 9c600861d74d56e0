/// What a channel holds unsettled: single and multiple settlements, gaps, rollbacks.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore

/// Deliveries with as many messages as asked for, and the tags that were given out of them.
private final class Held {
  let core = Core()
  let deliveries = Deliveries()
  let consumer: Consumer
  private let outlet = Collector()
  private let message = Message.of("m")

  init() throws {
    consumer = Consumer(
      tag: "", queue: try core.queue("q"), noAck: false, deliveries: deliveries, outlet: outlet)
  }

  convenience init(_ count: Int) throws {
    try self.init()
    for _ in 0..<count { add() }
  }

  @discardableResult
  func add() -> UInt64 {
    let tag = deliveries.nextTag()
    deliveries.append(
      Delivery(
        tag: tag, queued: QueuedMessage(message: message, position: tag), consumer: consumer, limited: true))
    return tag
  }

  /// - Returns: the tags that were taken, in order, or nil if the tag is unknown
  func take(_ tag: UInt64, multiple: Bool = false) -> [UInt64]? {
    var taken: [UInt64] = []
    let found = deliveries.take(tag, multiple: multiple) { taken.append($0.tag) }
    return found ? taken : nil
  }

  func takeAll() -> [UInt64] {
    var taken: [UInt64] = []
    deliveries.takeAll { taken.append($0.tag) }
    return taken
  }
}

@Suite struct DeliveriesTests {
  @Test func `tags begin at 1 and follow one another`() throws {
    let held = try Held()
    #expect((0..<3).map { _ in held.add() } == [1, 2, 3])
    #expect(held.deliveries.count == 3)
  }

  @Test func `each is taken once`() throws {
    let held = try Held(3)
    #expect(held.take(2) == [2])
    #expect(held.take(2) == nil)
    #expect(held.take(1) == [1])
    #expect(held.take(3) == [3])
    #expect(held.take(3) == nil)
    #expect(held.deliveries.count == 0)
  }

  @Test func `unknown tags are refused`() throws {
    let held = try Held(2)
    for tag in [0, 3, .max] as [UInt64] {
      #expect(held.take(tag) == nil)
      if tag != 0 { #expect(held.take(tag, multiple: true) == nil) }
    }
    #expect(held.deliveries.count == 2)
    #expect(try Held(0).take(1) == nil)
  }

  @Test func `multiple takes all up to the tag in order and leaves gaps out`() throws {
    let held = try Held(6)
    #expect(held.take(2) == [2])
    #expect(held.take(5) == [5])
    #expect(held.take(4, multiple: true) == [1, 3, 4])
    #expect(held.deliveries.count == 1)
    #expect(held.take(6) == [6])
  }

  @Test func `multiple with a tag that is settled is refused and takes nothing`() throws {
    let held = try Held(4)
    _ = held.take(3)
    #expect(held.take(3, multiple: true) == nil)
    #expect(held.deliveries.count == 3)
  }

  @Test func `multiple with tag 0 takes all, and of nothing it takes nothing`() throws {
    let held = try Held(3)
    _ = held.take(1)
    #expect(held.take(0, multiple: true) == [2, 3])
    #expect(held.take(0, multiple: true) == [])
  }

  @Test func `tags go on after all were taken`() throws {
    let held = try Held(3)
    #expect(held.takeAll() == [1, 2, 3])
    #expect(held.takeAll() == [])
    #expect(held.add() == 4)
    #expect(held.take(4) == [4])
  }

  @Test func `many gaps are closed up, and tags are found all the same`() throws {
    let held = try Held(400)
    for tag in 2...399 where tag % 4 != 0 { #expect(held.take(UInt64(tag)) == [UInt64(tag)]) }
    for tag in [4, 200, 396] as [UInt64] { #expect(held.take(tag) == [tag]) }
    #expect(held.take(201) == nil)
    // 1, 400, and those of the 99 multiples of 4 between that are left.
    #expect(held.deliveries.count == 98)
    #expect(held.take(400, multiple: true)?.count == 98)
    #expect(held.deliveries.count == 0)
  }

  @Test func `what is restored stands at its place again`() throws {
    let held = try Held(5)
    var undone: [Delivery] = []
    for tag in [4, 2] as [UInt64] { _ = held.deliveries.take(tag, multiple: false) { undone.append($0) } }
    held.add()
    held.deliveries.restore(undone)
    #expect(held.deliveries.count == 6)
    #expect(held.take(2) == [2])
    #expect(held.takeAll() == [1, 3, 4, 5, 6])
  }

  @Test func `to restore nothing changes nothing`() throws {
    let held = try Held(3)
    _ = held.take(2)
    held.deliveries.restore([])
    #expect(held.takeAll() == [1, 3])
  }

  @Test(arguments: Seeds.of("DELIVERIES_SEED", Array(1...6)))
  func `random settlements take what a sorted list would give`(_ seed: UInt64) throws {
    Seeds.announce("DeliveriesTests: seed \(seed)")
    var chance = Chance(seed: seed)
    let held = try Held()
    var naive: [UInt64] = []
    var undone: [Delivery] = []
    var last: UInt64 = 0
    for round in 0..<3000 {
      switch chance.below(12) {
      case 0...4:
        for _ in 0...chance.below(8) { naive.append(held.add()) }
        last = naive.last ?? last
      case 5...8:
        let tag = naive.isEmpty || chance.oneIn(10) ? UInt64(chance.below(Int(last) + 3)) : chance.pick(naive)
        let expected = naive.firstIndex(of: tag).map { [naive.remove(at: $0)] }
        #expect(held.take(tag) == expected, "seed \(seed), round \(round)")
      case 9:
        let tag = naive.isEmpty ? 1 : naive[chance.below(min(20, naive.count))]
        let expected = naive.contains(tag) ? naive.filter { $0 <= tag } : nil
        if expected != nil { naive.removeAll { $0 <= tag } }
        #expect(held.take(tag, multiple: true) == expected, "seed \(seed), round \(round)")
      case 10:
        for _ in 0..<chance.below(5) where !naive.isEmpty {
          let tag = naive.remove(at: chance.below(naive.count))
          #expect(held.deliveries.take(tag, multiple: false) { undone.append($0) })
        }
      default:
        held.deliveries.restore(undone)
        naive = (naive + undone.map(\.tag)).sorted()
        undone = []
        if chance.oneIn(40) {
          #expect(held.takeAll() == naive)
          naive = []
        }
      }
      #expect(held.deliveries.count == naive.count, "seed \(seed), round \(round)")
    }
    #expect(held.takeAll() == naive)
  }
}
