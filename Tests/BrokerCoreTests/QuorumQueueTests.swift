/// What is particular to quorum queues: deliveries are counted, and all is kept; over a store.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore

@Suite struct QuorumQueueTests {
  let core: StoredCore
  init() throws { core = try StoredCore() }

  private func quorum(_ arguments: FieldTable = [:]) throws -> Queue {
    var all = arguments
    all["x-queue-type"] = "quorum"
    return try core.queue("q", arguments: all)
  }

  private func publish(_ bodies: String..., expiration: ByteString? = nil) throws {
    for body in bodies {
      var properties = BasicProperties()
      properties.expiration = expiration
      try core.vhost.queue("q").enqueue(.of(body, properties: properties))
    }
  }

  /// `basic.get` of so many, as "body count", a star if redelivered.
  private func get(_ count: Int, _ holder: Holder = Holder()) throws -> [String] {
    let queue = try core.vhost.queue("q")
    var found: [String] = []
    for _ in 0..<1000 where found.count < count {
      switch queue.get(holder.consumer(queue)) {
      case .message(let shown, let redelivered, _):
        let number = shown.headerTable()["x-delivery-count"]?.integer.map { "\($0)" } ?? "-"
        found.append("\(shown.bodyText) \(number)\(redelivered ? "*" : "")")
      case .empty: return found
      case .later: core.settle()
      }
    }
    return found
  }

  private func deadLetters() throws -> [String] {
    core.settle()
    let queue = try core.vhost.queue("dead")
    let holder = Holder()
    var found: [String] = []
    for _ in 0..<1000 {
      switch queue.get(holder.consumer(queue, noAck: true)) {
      case .message(let shown, _, _):
        let headers = shown.headerTable()
        #expect(headers["x-delivery-count"] == nil)
        found.append("\(shown.bodyText) \(headers["x-first-death-reason"]?.string?.text ?? "")")
      case .empty: return found
      case .later: core.settle()
      }
    }
    return found
  }

  private static let toDead: FieldTable = [
    "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead",
  ]

  @Test func `a message that is given back goes to the end and says how often it came`() throws {
    _ = try quorum()
    try publish("a", "b", "c", "d")
    let holder = Holder()
    #expect(try get(3, holder) == ["a 0", "b 0", "c 0"])
    holder.settle(2, .rejected(requeue: true))
    holder.settle(1, .rejected(requeue: true))
    #expect(try get(3, holder) == ["d 0", "b 1*", "a 1*"])
    holder.settle(0, multiple: true, .rejected(requeue: true))
    #expect(try get(4, holder) == ["c 1*", "d 1*", "b 2*", "a 2*"])
  }

  @Test func `what a consumer left that is gone comes first, in its order`() throws {
    _ = try quorum()
    try publish("a", "b", "c", "d")
    let holder = Holder()
    _ = try get(3, holder)
    holder.settle(0, multiple: true, .abandoned)
    #expect(try get(4) == ["a 1*", "b 1*", "c 1*", "d 0"])
  }

  @Test func `a consumer sees the count from the second delivery on`() throws {
    let queue = try quorum()
    try publish("a")
    let holder = Holder()
    try holder.consume(queue)
    holder.settle(1, .rejected(requeue: true))
    let counts = holder.collector.deliveries.map { $0.message.headerTable()["x-delivery-count"] }
    #expect(counts == [nil, .int64(1)])
    #expect(holder.collector.deliveries.map(\.redelivered) == [false, true])
  }

  @Test func `with a limit a message comes first again, and is a dead letter when it is over`() throws {
    try core.queue("dead")
    var arguments = Self.toDead
    arguments["x-delivery-limit"] = .int32(1)
    _ = try quorum(arguments)
    try publish("a", "b", "c")
    let holder = Holder()
    #expect(try get(2, holder) == ["a 0", "b 0"])
    holder.settle(2, .rejected(requeue: true))
    holder.settle(1, .rejected(requeue: true))
    #expect(try get(2, holder) == ["b 1*", "a 1*"])
    holder.settle(3, .rejected(requeue: true))
    holder.settle(4, .abandoned)
    #expect(try deadLetters() == ["b delivery_limit", "a delivery_limit"])
    #expect(try get(2) == ["c 0"])
  }

  @Test func `without a dead letter exchange what comes back too often is gone`() throws {
    let queue = try quorum(["x-delivery-limit": .int32(0)])
    try publish("a")
    let holder = Holder()
    _ = try get(1, holder)
    holder.settle(1, .rejected(requeue: true))
    #expect(queue.readyCount == 0 && queue.unsettledCount == 0)
    core.settle()
    #expect(core.store.messageCount == 0)
  }

  @Test(arguments: [false, true])
  func `transient messages and their counts are there after a crash`(_ isLimited: Bool) throws {
    _ = try quorum(isLimited ? ["x-delivery-limit": .int32(9)] : [:])
    try publish("a", "b")
    core.settle()
    let holder = Holder()
    for _ in 1...3 {
      _ = try get(2, holder)
      holder.settle(0, multiple: true, .rejected(requeue: true))
      core.settle()
    }
    try core.crash()
    #expect(try get(2) == ["a 3*", "b 3*"])
  }

  @Test func `what was delivered when the broker died counts as delivered once`() throws {
    _ = try quorum()
    try publish("a")
    core.settle()
    _ = try get(1)
    core.settle()
    try core.crash()
    #expect(try get(1) == ["a 1*"])
  }

  @Test func `many that come back and go leave nothing in the store`() throws {
    let queue = try quorum()
    for number in 1...200 { try publish("\(number)") }
    core.settle()
    for turn in 1...3 {
      let holder = Holder()
      #expect(try get(200, holder).count == 200)
      holder.settle(0, multiple: true, turn == 2 ? .abandoned : .rejected(requeue: true))
      core.settle()
    }
    #expect(core.store.messageCount == 200)
    let holder = Holder()
    #expect(try get(201, holder).first == "1 3*")
    holder.settle(0, multiple: true)
    core.settle()
    #expect(queue.readyCount == 0 && core.store.messageCount == 0)
  }

  @Test func `time to live ends for what came back too`() throws {
    try core.queue("dead")
    _ = try quorum(Self.toDead)
    try publish("a", expiration: "1000")
    let holder = Holder()
    _ = try get(1, holder)
    holder.settle(1, .rejected(requeue: true))
    core.clock.advance(seconds: 2)
    core.broker.deadlines.runDue()
    #expect(try deadLetters() == ["a expired"])
  }

  @Test func `overflow drops the first, or refuses the publisher`() throws {
    try core.queue("dead")
    var arguments = Self.toDead
    arguments["x-max-length"] = .int32(1)
    // RabbitMQ takes this one, and does as with drop-head.
    arguments["x-overflow"] = "reject-publish-dlx"
    _ = try quorum(arguments)
    try publish("a", "b")
    #expect(try deadLetters() == ["a maxlen"])
    core.vhost.remove(try core.vhost.queue("q"))
    let strict = try quorum(["x-max-length": .int32(1), "x-overflow": "reject-publish"])
    #expect(strict.enqueue(.of("a")) == .taken)
    #expect(strict.enqueue(.of("b")) == .refused)
  }

  @Test func `at least once, a dead letter stays until its queue is there`() throws {
    var arguments = Self.toDead
    arguments["x-dead-letter-strategy"] = "at-least-once"
    arguments["x-overflow"] = "reject-publish"
    _ = try quorum(arguments)
    try publish("a")
    let holder = Holder()
    _ = try get(1, holder)
    holder.settle(1, .rejected(requeue: false))
    core.settle()
    #expect(core.store.messageCount == 1)
    #expect(try get(1) == [])
    try core.queue("dead")
    core.clock.advance(seconds: 11)
    core.broker.deadlines.runDue()
    #expect(try deadLetters() == ["a rejected"])
    core.settle()
    #expect(core.store.messageCount == 0)
  }

  @Test func `at most once, it is gone`() throws {
    _ = try quorum(Self.toDead)
    try publish("a")
    let holder = Holder()
    _ = try get(1, holder)
    holder.settle(1, .rejected(requeue: false))
    core.settle()
    #expect(core.store.messageCount == 0)
  }
}
