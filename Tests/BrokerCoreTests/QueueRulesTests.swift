/// What queues' arguments bring about: time to live, length, priorities, one active consumer; over a store, so that it
/// is so after a crash too.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore

@Suite struct QueueRulesTests {
  let core: StoredCore
  init() throws { core = try StoredCore() }

  private func pass(seconds: Double) {
    core.clock.advance(seconds: seconds)
    for _ in 0..<5 {
      core.broker.deadlines.runDue()
      core.settle()
    }
  }

  private func publish(
    _ body: String, to queue: ByteString, expiration: ByteString? = nil, priority: UInt8? = nil
  ) throws -> Queue.Enqueued {
    var properties = BasicProperties()
    properties.deliveryMode = 2
    properties.expiration = expiration
    properties.priority = priority
    return try core.vhost.queue(queue).enqueue(.of(body, properties: properties))
  }

  private func queueWithDeadLetters(_ arguments: FieldTable) throws -> Queue {
    try core.queue("dead")
    var all = arguments
    all["x-dead-letter-exchange"] = ""
    all["x-dead-letter-routing-key"] = "dead"
    return try core.queue("q", arguments: all)
  }

  private func deaths(in name: ByteString) throws -> [String] {
    let queue = try core.vhost.queue(name)
    let holder = Holder()
    var found: [String] = []
    for _ in 0..<1000 {
      switch queue.get(holder.consumer(queue, noAck: true)) {
      case .message(let shown, _, _):
        guard case .array(let deaths)? = shown.headerTable()["x-death"], case .table(let last)? = deaths.first
        else {
          found.append(shown.bodyText)
          continue
        }
        found.append("\(shown.bodyText) \(last["reason"]?.string?.text ?? "")")
      case .empty: return found
      case .later: core.settle()
      }
    }
    return found
  }

  @Test func `the smaller time to live counts, and what is over is dead-lettered`() throws {
    let queue = try queueWithDeadLetters(["x-message-ttl": .int64(1000)])
    _ = try publish("short", to: "q", expiration: "200")
    _ = try publish("long", to: "q", expiration: "60000")
    core.settle()
    pass(seconds: 0.5)
    #expect(queue.readyCount == 1)
    pass(seconds: 0.6)
    #expect(queue.readyCount == 0)
    #expect(try deaths(in: "dead") == ["short expired", "long expired"])
  }

  @Test func `a message expires at the head of its queue, and never reaches a consumer`() throws {
    let queue = try core.queue("q")
    _ = try publish("a", to: "q")
    _ = try publish("b", to: "q", expiration: "10")
    _ = try publish("c", to: "q")
    core.settle()
    pass(seconds: 1)
    #expect(queue.readyCount == 3)
    #expect(try core.drain("q") == ["a", "c"])
  }

  @Test func `with no time at all a message is delivered at once or not at all`() throws {
    let queue = try core.queue("q", arguments: ["x-message-ttl": .int64(0)])
    _ = try publish("lost", to: "q")
    #expect(queue.readyCount == 0)
    let holder = Holder()
    try holder.consume(queue)
    _ = try publish("seen", to: "q")
    #expect(holder.collector.texts == ["seen"])
    // What comes back has no time either.
    holder.settle(1, .rejected(requeue: true))
    pass(seconds: 0)
    #expect(queue.readyCount == 0)
  }

  @Test func `time goes on while the broker does not run`() throws {
    _ = try queueWithDeadLetters([:])
    _ = try publish("over", to: "q", expiration: "5000")
    _ = try publish("kept", to: "q", expiration: "60000")
    core.settle()
    core.clock.advance(seconds: 10)
    try core.crash()
    #expect(try core.drain("q") == ["kept"])
    core.settle()
    #expect(try deaths(in: "dead") == ["over expired"])
  }

  @Test func `after a crash a queue with a time to live empties itself`() throws {
    try core.queue("q", arguments: ["x-message-ttl": .int64(1000)])
    for number in 1...50 { _ = try publish("\(number)", to: "q") }
    core.settle()
    try core.crash()
    core.settle()
    pass(seconds: 2)
    #expect(try core.vhost.queue("q").readyCount == 0)
    core.settle()
    #expect(core.store.messageCount == 0)
  }

  @Test func `thousands that are over at once go in turns`() throws {
    let queue = try core.queue("q", arguments: ["x-message-ttl": .int64(1000)])
    for number in 1...2500 { _ = try publish("\(number)", to: "q") }
    core.settle()
    core.clock.advance(seconds: 2)
    core.broker.deadlines.runDue()
    #expect(queue.readyCount == 1500)
    pass(seconds: 0.1)
    #expect(queue.readyCount == 0)
  }

  @Test func `a queue that nobody uses goes, and use is consuming, getting and declaring`() throws {
    let queue = try core.queue("q", arguments: ["x-expires": .int64(1000)])
    pass(seconds: 0.9)
    try core.queue("q", arguments: ["x-expires": .int64(1000)])
    pass(seconds: 0.9)
    _ = queue.get(Holder().consumer(queue))
    pass(seconds: 0.9)
    let holder = Holder()
    let consumer = try holder.consume(queue)
    pass(seconds: 5)
    #expect(core.vhost.hasQueue("q"))
    queue.unsubscribe(consumer)
    pass(seconds: 0.9)
    #expect(core.vhost.hasQueue("q"))
    pass(seconds: 0.2)
    #expect(!core.vhost.hasQueue("q"))
  }

  @Test func `a deleted queue is not kept by its timers`() throws {
    weak var gone: Queue?
    do {
      let queue = try core.queue(
        "q", durable: false,
        arguments: ["x-expires": .int64(86_400_000), "x-message-ttl": .int64(86_400_000)])
      queue.enqueue(.of("m"))
      gone = queue
      core.vhost.remove(queue)
    }
    #expect(gone == nil && core.broker.deadlines.count > 0)
  }

  @Test func `the first make room, and only what is ready counts`() throws {
    let queue = try queueWithDeadLetters(["x-max-length": .int64(2)])
    let holder = Holder()
    try holder.consume(queue, prefetch: 1)
    for body in ["held", "a", "b", "c", "d"] { _ = try publish(body, to: "q") }
    #expect(queue.readyCount == 2)
    core.settle()
    #expect(try deaths(in: "dead") == ["a maxlen", "b maxlen"])
    try core.crash()
    // What was held is ready again, and there is room for two.
    #expect(try core.drain("q").map { $0.replacing("*", with: "") } == ["c", "d"])
  }

  @Test func `those that come back to a full queue make room before anybody gets one`() throws {
    let queue = try queueWithDeadLetters(["x-max-length": .int64(2)])
    let holder = Holder()
    for body in ["a", "b"] { _ = try publish(body, to: "q") }
    core.settle()
    // The store has to know first that they may be delivered.
    #expect(holder.get(queue) == nil)
    core.settle()
    for _ in 0..<2 { #expect(holder.get(queue) != nil) }
    for body in ["c", "d"] { _ = try publish(body, to: "q") }
    holder.settle(1, .rejected(requeue: true))
    holder.settle(2, .rejected(requeue: true))
    queue.drain()
    #expect(queue.readyCount == 2)
    core.settle()
    #expect(try deaths(in: "dead") == ["a maxlen", "b maxlen"])
  }

  @Test func `octets of bodies are counted, and one that is larger than all is gone at once`() throws {
    let queue = try queueWithDeadLetters(["x-max-length-bytes": .int64(10)])
    for body in ["12345", "67890", "x"] { _ = try publish(body, to: "q") }
    #expect(queue.readyCount == 2)
    _ = try publish("larger than ten", to: "q")
    #expect(queue.readyCount == 0)
    core.settle()
    #expect(try deaths(in: "dead").count == 4)
  }

  @Test(arguments: ["reject-publish", "reject-publish-dlx"])
  func `a full queue may refuse instead`(overflow: ByteString) throws {
    let queue = try queueWithDeadLetters(["x-max-length": .int64(1), "x-overflow": .string(overflow)])
    #expect(try publish("a", to: "q") == .taken)
    #expect(try publish("b", to: "q") == .refused)
    #expect(queue.readyCount == 1)
    core.settle()
    #expect(try deaths(in: "dead") == (overflow == "reject-publish" ? [] : ["b maxlen"]))
    // Who waits for a message gets it, full or not.
    let holder = Holder()
    try holder.consume(queue, prefetch: 1)
    core.settle()
    #expect(try publish("c", to: "q") == .taken)
    #expect(try publish("d", to: "q") == .refused)
  }

  @Test func `the higher priority goes first, in order among equals, after a crash too`() throws {
    let queue = try core.queue("q", arguments: ["x-max-priority": .int64(5)])
    for (body, priority) in [("a", nil), ("b", 3), ("c", 9), ("d", 3), ("e", 5), ("f", 0)]
      as [(String, UInt8?)]
    {
      _ = try publish(body, to: "q", priority: priority)
    }
    core.settle()
    #expect(queue.readyCount == 6)
    let holder = Holder()
    try holder.consume(queue, prefetch: 1)
    core.settle()
    #expect(holder.collector.texts == ["c"])
    holder.settle(1, .rejected(requeue: true))
    core.settle()
    try core.crash()
    #expect(try core.vhost.queue("q").readyCount == 6)
    #expect(try core.drain("q").map { $0.replacing("*", with: "") } == ["c", "e", "b", "d", "a", "f"])
    core.settle()
    #expect(core.store.messageCount == 0)
  }

  @Test func `the priorities of a queue that was at rest wait for one sync together`() throws {
    let queue = try core.queue("q", arguments: ["x-max-priority": .int64(9)])
    for (body, priority) in [("low", 1), ("high", 9), ("middle", 5)] as [(String, UInt8)] {
      _ = try publish(body, to: "q", priority: priority)
    }
    core.settle()
    let holder = Holder()
    try holder.consume(queue)
    core.turn()
    core.store.settleOne()
    #expect(holder.collector.texts == ["high", "middle", "low"])
  }

  @Test func `one consumer is active, and the next when it goes`() throws {
    let queue = try core.queue("q", arguments: ["x-single-active-consumer": true])
    let (first, second) = (Holder(), Holder())
    let active = try first.consume(queue, tag: "1", prefetch: 1)
    try second.consume(queue, tag: "2", priority: 5)
    for body in ["a", "b"] { _ = try publish(body, to: "q") }
    #expect(first.collector.texts == ["a"] && second.collector.texts.isEmpty)
    second.settle(99, .acknowledged)
    queue.unsubscribe(active)
    core.settle()
    #expect(second.collector.texts == ["b"])
    #expect(throws: ProtocolError.self) { try Holder().consume(queue, tag: "3", exclusive: true) }
  }

  @Test func `a full queue that is on disk makes room too`() throws {
    var settings = Settings()
    settings.queueMemoryMaximum = 5 * Ledger.overhead
    let core = try StoredCore(settings)
    let queue = try core.queue("q", arguments: ["x-max-length": .int64(30)])
    for number in 1...100 {
      try core.publish("\(number)", to: "q")
      core.settle()
    }
    #expect(queue.readyCount == 30)
    #expect(try core.drain("q") == (71...100).map { "\($0)" })
    core.settle()
    #expect(core.store.messageCount == 0)
  }
}
