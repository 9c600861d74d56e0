import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

/// A filter that says what a test tells it to, and remembers what it saw.
private final class TestFilter: MessageFilter {
  let name: String
  var isFor: (ByteString, ByteString) -> Bool = { _, _ in true }
  var verdict: (Message, FilterContext) -> FilterVerdict
  private(set) var seen: [String] = []

  init(_ name: String = "test", _ verdict: @escaping (Message, FilterContext) -> FilterVerdict) {
    self.name = name
    self.verdict = verdict
  }

  func isFor(vhost: ByteString, name: ByteString) -> Bool { isFor(vhost, name) }

  func run(_ message: Message, _ context: FilterContext) -> FilterVerdict {
    seen.append(message.bodyText)
    return verdict(message, context)
  }
}

private struct TestPolicy {
  final class Deaths: DeadLetterPolicy {
    var answer: (Death) -> DeathAnswer
    init(_ answer: @escaping (Death) -> DeathAnswer) { self.answer = answer }
    func dies(_ message: Message, _ death: Death, _ context: FilterContext) -> DeathAnswer { answer(death) }
  }
}

extension Message {
  fileprivate func changed(_ fields: FieldTable) throws -> Message {
    try MessageChange(fields).applied(to: self)
  }
}

extension Core {
  var clock: FakeClock {
    get throws { try #require(broker.clock as? FakeClock) }
  }

  fileprivate func hook(_ change: (Hooks) -> Void) {
    change(broker.hooks)
    broker.hooksChanged()
  }

  /// Publishes as a channel does, filters and all, then what waits for the end of it.
  @discardableResult
  func offer(_ body: String, to exchange: ByteString = "", key: ByteString = "") throws
    -> VirtualHost.Published
  {
    defer { broker.runLater() }
    return try vhost.publish(
      .of(body, exchange: exchange, key: key), to: try vhost.exchange(exchange), by: Identity(name: "alice"))
  }

  func pass(seconds: Double) throws {
    try clock.advance(seconds: seconds)
    broker.deadlines.runDue()
    broker.runLater()
  }

  func texts(in name: ByteString) throws -> [String] {
    let queue = try vhost.queue(name)
    let holder = Holder()
    var texts: [String] = []
    while let got = holder.get(queue, noAck: true) { texts.append(got.text) }
    return texts
  }
}

@Suite struct `Filters before an exchange` {
  private let core = Core()

  init() throws { try core.queue("q") }

  @Test func `see each message, and what one changes the next one sees`() throws {
    let first = TestFilter("a") { message, _ in
      (try? .changed(message.changed(["body": "changed"]))) ?? .failed("")
    }
    let second = TestFilter("b") { _, _ in .pass }
    core.hook { $0.publishFilters = [first, second] }
    try core.offer("m", key: "q")
    #expect(first.seen == ["m"])
    #expect(second.seen == ["changed"])
    #expect(try core.texts(in: "q") == ["changed"])
  }

  @Test func `may change the routing key, and so the way`() throws {
    try core.queue("other")
    core.hook {
      $0.publishFilters = [
        TestFilter { message, _ in (try? .changed(message.changed(["routing_key": "other"]))) ?? .failed("") }
      ]
    }
    try core.offer("m", key: "q")
    #expect(try core.texts(in: "q") == [])
    #expect(try core.texts(in: "other") == ["m"])
  }

  @Test func `are only asked where they are for`() throws {
    try core.exchange("orders")
    try core.bind("orders", to: "q")
    let filter = TestFilter { _, _ in .denied("no") }
    filter.isFor = { _, name in name == "orders" }
    core.hook { $0.publishFilters = [filter] }
    try core.offer("m", key: "q")
    #expect(filter.seen == [])
    #expect(refusal { try core.offer("m", to: "orders") }?.text == "no")
  }

  @Test func `that drop leave the message accepted, and nowhere`() throws {
    core.hook { $0.publishFilters = [TestFilter { _, _ in .dropped("spam") }] }
    guard case .dropped = try core.offer("m", key: "q") else {
      Issue.record("expected dropped")
      return
    }
    #expect(try core.texts(in: "q") == [])
  }

  @Test func `that fail refuse the message`() throws {
    core.hook { $0.publishFilters = [TestFilter { _, _ in .failed("filter 'x' failed") }] }
    #expect(refusal { try core.offer("m", key: "q") }?.text == "filter 'x' failed")
  }

  @Test func `that delay keep the message, and it is not filtered again`() throws {
    let filter = TestFilter { _, _ in .delayed(milliseconds: 500) }
    core.hook { $0.publishFilters = [filter] }
    guard case .delayed = try core.offer("m", key: "q") else {
      Issue.record("expected delayed")
      return
    }
    try core.pass(seconds: 0.4)
    #expect(try core.texts(in: "q") == [])
    try core.pass(seconds: 0.2)
    #expect(try core.texts(in: "q") == ["m"])
    #expect(filter.seen == ["m"])
  }

  @Test func `that throttle are heard once by the publisher`() throws {
    core.hook { $0.publishFilters = [TestFilter { _, _ in .throttled(milliseconds: 70) }] }
    try core.offer("m", key: "q")
    #expect(core.vhost.takeThrottle() == 70)
    #expect(core.vhost.takeThrottle() == 0)
    #expect(try core.texts(in: "q") == ["m"])
  }

  @Test func `keep a route from being remembered, before and behind the exchange`() throws {
    try core.offer("m", key: "q")
    #expect(core.vhost.repeatableQueues?.count == 1)
    core.hook { $0.enqueueFilters = [TestFilter { _, _ in .pass }] }
    try core.offer("m", key: "q")
    #expect(core.vhost.repeatableQueues == nil)
  }
}

@Suite struct `Filters before a queue` {
  private let core = Core()

  init() throws {
    for name in ["a", "b"] as [ByteString] {
      try core.queue(name)
      try core.bind("amq.fanout", to: name)
    }
  }

  @Test func `decide for their queue alone`() throws {
    let filter = TestFilter { _, context in context.queue?.name == "a" ? .dropped("not here") : .pass }
    core.hook { $0.enqueueFilters = [filter] }
    try core.offer("m", to: "amq.fanout")
    #expect(try core.texts(in: "a") == [])
    #expect(try core.texts(in: "b") == ["m"])
  }

  @Test func `that refuse are seen by the publisher, though other queues have the message`() throws {
    let filter = TestFilter { _, _ in .denied("full") }
    filter.isFor = { _, name in name == "a" }
    core.hook { $0.enqueueFilters = [filter] }
    #expect(refusal { try core.offer("m", to: "amq.fanout") }?.text == "full")
    #expect(try core.texts(in: "b") == ["m"])
  }

  @Test func `may change what one queue gets, and let it in later`() throws {
    let filter = TestFilter { message, context in
      if context.queue?.name == "a" { return .delayed(milliseconds: 100) }
      return (try? .changed(message.changed(["body": "for b"]))) ?? .failed("")
    }
    core.hook { $0.enqueueFilters = [filter] }
    try core.offer("m", to: "amq.fanout")
    #expect(try core.texts(in: "a") == [])
    #expect(try core.texts(in: "b") == ["for b"])
    try core.pass(seconds: 0.2)
    #expect(try core.texts(in: "a") == ["m"])
  }
}

@Suite struct `Filters before a consumer` {
  private let core = Core()
  private let queue: Queue
  private let holder = Holder()

  init() throws { queue = try core.queue("q") }

  @Test func `may change what it sees; the queue keeps its own`() throws {
    core.hook {
      $0.deliverFilters = [
        TestFilter { message, _ in (try? .changed(message.changed(["body": "masked"]))) ?? .failed("") }
      ]
    }
    try holder.consume(queue)
    try core.offer("secret", key: "q")
    #expect(holder.collector.texts == ["masked"])
    core.hook { $0.deliverFilters = [] }
    holder.settle(1, .rejected(requeue: true))
    #expect(holder.collector.texts == ["masked", "secret"])
  }

  @Test func `drop a message from its queue`() throws {
    core.hook {
      $0.deliverFilters = [TestFilter { message, _ in message.bodyText == "x" ? .dropped("") : .pass }]
    }
    for body in ["a", "x", "b"] { try core.offer(body, key: "q") }
    #expect(holder.get(queue)?.text == "a")
    #expect(holder.get(queue)?.text == "b")
    #expect(holder.get(queue) == nil)
    #expect(queue.readyCount == 0)
  }

  @Test func `put a message back for a time`() throws {
    var isFirst = true
    core.hook {
      $0.deliverFilters = [
        TestFilter { _, _ in
          defer { isFirst = false }
          return isFirst ? .delayed(milliseconds: 50) : .pass
        }
      ]
    }
    try holder.consume(queue)
    try core.offer("m", key: "q")
    #expect(holder.collector.texts == [])
    try core.pass(seconds: 0.1)
    #expect(holder.collector.texts == ["m"])
  }

  @Test func `that fail put it back once, and then it is a dead letter`() throws {
    try core.queue("dead")
    let queue = try core.queue(
      "mortal", arguments: ["x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"])
    let filter = TestFilter { _, _ in .failed("bug") }
    filter.isFor = { _, name in name == "mortal" }
    core.hook { $0.deliverFilters = [filter] }
    try holder.consume(queue)
    try core.offer("m", key: "mortal")
    queue.drain()
    core.broker.runLater()
    #expect(filter.seen == ["m", "m"])
    #expect(holder.collector.texts == [])
    #expect(try core.texts(in: "dead") == ["m"])
  }
}

@Suite struct `Dead letters` {
  private let core = Core()
  private let holder = Holder()

  private func deaths(_ message: Message) throws -> [FieldTable] {
    guard case .array(let values)? = message.headerTable()["x-death"] else { return [] }
    return values.compactMap { if case .table(let entry) = $0 { entry } else { nil } }
  }

  @Test func `carry who gave them up, why and how often`() throws {
    try core.queue("dead")
    let queue = try core.queue(
      "q", arguments: ["x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"])
    try holder.consume(queue)
    try core.offer("m", to: "amq.direct", key: "q")
    try core.bind("amq.direct", to: "q", key: "q")
    try core.offer("m", to: "amq.direct", key: "q")
    holder.settle(1, .rejected(requeue: false))
    core.broker.runLater()
    let dead = Holder()
    try dead.consume(try core.vhost.queue("dead"))
    let message = try #require(dead.collector.deliveries.first?.message)
    let death = try #require(try deaths(message).first)
    #expect(death["count"] == .int64(1))
    #expect(death["reason"] == "rejected")
    #expect(death["queue"] == "q")
    #expect(death["exchange"] == "amq.direct")
    #expect(death["routing-keys"] == .array(["q"]))
    #expect(message.headerTable()["x-first-death-queue"] == "q")
    #expect(message.headerTable()["x-first-death-reason"] == "rejected")
    #expect(message.headerTable()["x-first-death-exchange"] == "amq.direct")
    #expect(ByteString(message.routingKey) == "dead")
  }

  @Test func `count as one what older brokers wrote as several deaths`() throws {
    try core.queue("dead")
    let queue = try core.queue(
      "q", arguments: ["x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"])
    try holder.consume(queue)
    func death(_ queue: ByteString, _ reason: ByteString, _ rest: FieldTable = [:]) -> FieldValue {
      var entry = rest
      entry["queue"] = .string(queue)
      entry["reason"] = .string(reason)
      return .table(entry)
    }
    var properties = BasicProperties()
    properties.headers = [
      "x-death": .array([
        death("other", "expired", ["count": .int64(2)]), death("other", "expired"),
        death("other", "rejected"), death("q", "rejected"), death("q", "rejected"),
      ])
    ]
    queue.enqueue(.of("m", properties: properties))
    holder.settle(1, .rejected(requeue: false))
    core.broker.runLater()
    let dead = Holder()
    try dead.consume(try core.vhost.queue("dead"))
    let found = try deaths(try #require(dead.collector.deliveries.first?.message))
    #expect(found.map { $0["queue"] } == ["q", "other", "other"])
    #expect(found.map { $0["reason"] } == ["rejected", "expired", "rejected"])
    #expect(found.map { $0["count"]?.integer ?? 1 } == [3, 3, 1])
  }

  @Test func `that a policy delays come back into the same queue, counted`() throws {
    var counts: [Int64] = []
    core.hook {
      $0.deadLetterPolicies = [
        TestPolicy.Deaths { death in
          counts.append(death.count)
          return death.count < 3 ? .delayed(milliseconds: 10) : .dropped("enough")
        }
      ]
    }
    let queue = try core.queue("q")
    try holder.consume(queue)
    try core.offer("m", key: "q")
    for tag in 1...3 as ClosedRange<UInt64> {
      #expect(holder.settle(tag, .rejected(requeue: false)))
      try core.pass(seconds: 0.1)
    }
    #expect(counts == [1, 2, 3])
    #expect(holder.collector.texts == ["m", "m", "m"])
    #expect(holder.collector.deliveries.map(\.redelivered) == [false, true, true])
    #expect(queue.readyCount == 0)
  }
}

@Suite struct `What scripts publish` {
  private let core = Core()

  @Test func `comes after the publish at hand, and ends after so many hops`() throws {
    try core.queue("q")
    let vhost = core.vhost
    core.hook {
      $0.publishFilters = [
        TestFilter { message, _ in
          _ = vhost.publishLater(message, intoQueue: nil, by: .none)
          return .pass
        }
      ]
    }
    try core.offer("m", key: "q")
    #expect(try core.texts(in: "q").count == Later.mostHops + 1)
    #expect(core.broker.later.isEmpty)
  }

  @Test func `may go straight into a queue under any name of an exchange`() throws {
    let queue = try core.queue("q")
    let message = Message.of("m", exchange: "history", key: "k")
    #expect(core.vhost.publishLater(message, intoQueue: "q", by: .none) == nil)
    core.broker.runLater()
    #expect(queue.readyCount == 1)
  }
}

@Suite struct `What causes itself` {
  private let core = Core()

  @Test func `a deadline that is set anew for now waits for the next turn`() throws {
    let deadlines = core.broker.deadlines
    var runs = 0
    func again() {
      runs += 1
      deadlines.after(milliseconds: 0, again)
    }
    deadlines.after(milliseconds: 0, again)
    deadlines.runDue()
    #expect(runs == 1)
    deadlines.runDue()
    #expect(runs == 2)
  }

  @Test func `a filter that fails in front of a waiting consumer does not stop its queue`() throws {
    let queue = try core.queue("q")
    let holder = Holder()
    try holder.consume(queue)
    let filter = TestFilter { _, _ in .failed("bug") }
    core.hook { $0.deliverFilters = [filter] }
    for _ in 0..<10 { try core.offer("m", key: "q") }
    #expect(filter.seen.count == 20)
    #expect(queue.readyCount == 0)
  }
}
