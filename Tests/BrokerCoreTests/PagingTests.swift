/// Queues that are larger than their memory.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore

@Suite struct PagingTests {
  /// Memory for about ten messages a queue.
  private static let small: Settings = {
    var settings = Settings()
    settings.queueMemoryMaximum = 10 * Ledger.overhead
    return settings
  }()
  let core: StoredCore
  init() throws { core = try StoredCore(Self.small) }

  private static func bodies(_ range: ClosedRange<Int>) -> [String] { range.map(String.init) }

  private func fill(_ name: ByteString, _ range: ClosedRange<Int>, persistent: Bool = true) throws {
    for number in range {
      try core.publish("\(number)", to: name, persistent: persistent)
      if number.isMultiple(of: 7) { core.settle() }
    }
    core.settle()
  }

  @Test(arguments: [true, false], [true, false])
  func `what is beyond memory comes back in order`(durable: Bool, persistent: Bool) throws {
    let queue = try core.queue("q", durable: durable)
    try fill("q", 1...100, persistent: persistent)
    #expect(queue.readyCount == 100)
    #expect(core.broker.ledger.octets < 20 * (Ledger.overhead + 3))
    #expect(try core.drain("q") == Self.bodies(1...100))
    core.settle()
    #expect(queue.readyCount == 0 && core.broker.ledger.octets == 0)
    #expect(core.store.transientCount == 0 && core.store.messageCount == 0)
  }

  @Test func `persistent and transient messages keep their order on disk`() throws {
    let queue = try core.queue("q")
    for number in 1...60 {
      try core.publish("\(number)", to: "q", persistent: number.isMultiple(of: 3))
      if number.isMultiple(of: 10) { core.settle() }
    }
    core.settle()
    #expect(queue.readyCount == 60)
    #expect(try core.drain("q") == Self.bodies(1...60))
  }

  @Test func `a consumer gets all, in order, whatever comes meanwhile`() throws {
    let queue = try core.queue("q")
    try fill("q", 1...40)
    let holder = Holder()
    try holder.consume(queue, prefetch: 3)
    var next: UInt64 = 1
    for number in 41...80 {
      try core.publish("\(number)", to: "q")
      core.settle()
      holder.settle(next, .acknowledged)
      next += 1
    }
    for _ in 0..<200 {
      core.settle()
      guard UInt64(holder.collector.texts.count) >= next else { break }
      holder.settle(next, .acknowledged)
      next += 1
    }
    #expect(holder.collector.texts == Self.bodies(1...80))
    core.settle()
    #expect(core.store.messageCount == 0)
  }

  @Test func `what returns is before what is on disk`() throws {
    let queue = try core.queue("q")
    try fill("q", 1...30)
    let holder = Holder()
    let consumer = try holder.consume(queue, prefetch: 5)
    core.settle()
    #expect(holder.collector.texts == Self.bodies(1...5))
    queue.unsubscribe(consumer)
    for tag: UInt64 in [3, 1, 5, 2, 4] { holder.settle(tag, .rejected(requeue: true)) }
    #expect(try core.drain("q") == (1...5).map { "\($0)*" } + Self.bodies(6...30))
  }

  @Test(arguments: [true, false])
  func `what consumers hold leaves memory, and comes back as it was`(isLarge: Bool) throws {
    let queue = try core.queue("q")
    let others = [try core.queue("q1"), try core.queue("q2")]
    let padding = String(repeating: ".", count: isLarge ? Journal.sharedFrom : 0)
    for number in 1...60 {
      let message = StoredCore.message("\(number)" + padding)
      queue.enqueue(message)
      if isLarge { for other in others { other.enqueue(message) } }
      if number.isMultiple(of: 9) { core.settle() }
    }
    let holder = Holder()
    let consumer = try holder.consume(queue)
    core.settle()
    #expect(holder.collector.texts == Self.bodies(1...60).map { $0 + padding })
    #expect(queue.unsettledCount == 60)
    if !isLarge { #expect(core.broker.ledger.octets < 25 * (Ledger.overhead + 3)) }
    queue.unsubscribe(consumer)
    for tag: UInt64 in [7, 60, 1, 30] { holder.settle(tag, .acknowledged) }
    for tag: UInt64 in (1...60).reversed() where ![7, 60, 1, 30].contains(tag) {
      holder.settle(tag, .rejected(requeue: true))
    }
    #expect(queue.readyCount == 56)
    try core.publish("last", to: "q")
    core.settle()
    let back = (1...60).filter { ![7, 60, 1, 30].contains($0) }.map { "\($0)\(padding)*" }
    #expect(try core.drain("q") == back + ["last"])
    core.settle()
    #expect(queue.readyCount == 0)
    #expect(core.store.messageCount == (isLarge ? 120 : 0))
    if !isLarge { #expect(core.broker.ledger.octets == 0) }
  }

  @Test func `what comes back while a page is read is not missed in it`() throws {
    let queue = try core.queue("q")
    try fill("q", 1...50)
    let holder = Holder()
    let consumer = try holder.consume(queue)
    core.settle()
    queue.unsubscribe(consumer)
    for tag: UInt64 in [20, 30] { holder.settle(tag, .rejected(requeue: true)) }
    _ = queue.get(holder.consumer(queue))
    #expect(core.store.readsWaiting == 1)
    for tag: UInt64 in [25, 10] { holder.settle(tag, .rejected(requeue: true)) }
    core.settle()
    #expect(try core.drain("q") == ["10*", "20*", "25*", "30*"])
  }

  @Test func `what is rejected for good is read for its dead letter`() throws {
    try core.queue("dead")
    let queue = try core.queue(
      "q", arguments: ["x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"])
    try fill("q", 1...50)
    let holder = Holder()
    try holder.consume(queue)
    core.settle()
    for tag: UInt64 in 1...50 { holder.settle(tag, .rejected(requeue: false)) }
    core.settle()
    #expect(queue.readyCount == 0)
    #expect(try core.drain("dead") == Self.bodies(1...50))
    core.settle()
    #expect(core.store.messageCount == 0)
  }

  @Test func `a purge takes what came back and is on disk`() throws {
    let queue = try core.queue("q")
    try fill("q", 1...50)
    let holder = Holder()
    let consumer = try holder.consume(queue)
    core.settle()
    queue.unsubscribe(consumer)
    for tag: UInt64 in 1...50 { holder.settle(tag, .rejected(requeue: true)) }
    _ = queue.get(holder.consumer(queue))
    #expect(core.store.readsWaiting == 1)
    #expect(queue.purge() == 50)
    try core.publish("new", to: "q")
    core.settle()
    #expect(try core.drain("q") == ["new"])
    core.settle()
    #expect(core.store.messageCount == 0)
  }

  @Test func `a crash keeps what is on disk, and only what was delivered is redelivered`() throws {
    let queue = try core.queue("q")
    try fill("q", 1...50)
    let holder = Holder()
    try holder.consume(queue, prefetch: 1)
    core.settle()
    try core.crash()
    let found = try core.drain("q")
    #expect(found.map { $0.trimmingSuffix("*") } == Self.bodies(1...50))
    #expect(found.first == "1*" && found.last == "50")
  }

  @Test func `a page that was asked for before a purge is not wanted`() throws {
    let queue = try core.queue("q")
    try fill("q", 1...30)
    try core.crash()
    let again = try core.vhost.queue("q")
    let holder = Holder()
    _ = again.get(holder.consumer(again))
    core.turn()
    #expect(core.store.readsWaiting == 1)
    #expect(again.purge() == 30)
    try core.publish("new", to: "q")
    core.settle()
    #expect(try core.drain("q") == ["new"])
    #expect(queue !== again)
  }

  @Test func `without a store a queue grows in memory`() throws {
    let plain = Core(Self.small)
    let queue = try plain.queue("q", durable: true)
    for number in 1...100 { queue.enqueue(StoredCore.message("\(number)")) }
    let holder = Holder()
    try holder.consume(queue, noAck: true)
    queue.drain()
    #expect(holder.collector.texts == Self.bodies(1...100))
  }

  /// The same random play against a queue that holds ten messages in memory and a list.
  @Test(arguments: 1...60) func `random plays lose nothing and keep the order`(seed: Int) throws {
    var chance = Chance(seed: UInt64(seed))
    // Then what is held is more than memory holds.
    let hoards = seed.isMultiple(of: 2)
    let core = try StoredCore(Self.small)
    try core.queue("q")
    var expected: [String] = []
    var number = 0
    var holder = Holder()
    var held: [(tag: UInt64, body: String)] = []
    for _ in 0..<400 {
      let queue = try core.vhost.queue("q")
      switch chance.below(100) {
      case 0..<50:
        number += 1
        try core.publish("\(number)", to: "q")
        expected.append("\(number)")
      case 50..<70:
        guard case .message(let shown, _, let tag) = queue.get(holder.consumer(queue)) else { break }
        #expect(shown.bodyText == expected.first, "seed \(seed)")
        held.append((tag, expected.removeFirst()))
      case 70..<80 where !held.isEmpty && (!hoards || held.count > 60):
        holder.settle(held.remove(at: chance.below(held.count)).tag, .acknowledged)
      case 80..<85 where !held.isEmpty:
        let back = held.remove(at: chance.below(held.count))
        holder.settle(back.tag, .rejected(requeue: true))
        let place = expected.firstIndex { (Int($0) ?? 0) > (Int(back.body) ?? 0) } ?? expected.endIndex
        expected.insert(back.body, at: place)
      case 85..<97: if chance.oneIn(2) { core.settle() } else { core.turn() }
      case 97:
        expected = []
        _ = queue.purge()
      default:
        // All that was not acknowledged is back, once everything was safe.
        core.settle()
        try core.crash()
        expected = (expected + held.map(\.body)).sorted { (Int($0) ?? 0) < (Int($1) ?? 0) }
        held = []
        holder = Holder()
      }
    }
    core.settle()
    #expect(try core.drain("q").map { $0.trimmingSuffix("*") } == expected, "seed \(seed)")
  }
}

extension String {
  fileprivate func trimmingSuffix(_ suffix: String) -> String {
    hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
  }
}
