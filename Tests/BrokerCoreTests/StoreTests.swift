/// What a broker finds again: definitions, messages, and how far they were delivered. The store is one that a test
/// settles when it likes, and leaves as a crash would.
import AMQPWire
import BrokerTestKit
import Logging
import Testing

@testable import BrokerCore

/// A broker over a store, and the brokers that come after it.
final class StoredCore {
  private(set) var store = TestStore()
  let clock = FakeClock()
  private let settings: Settings
  private(set) var broker: Broker

  init(_ settings: Settings = Settings()) throws {
    self.settings = settings
    broker = try Broker(settings: settings, clock: clock, logger: Self.silent, store: store)
    listen()
    store.work()
  }

  private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  private func listen() { broker.journal?.onProgress = { [unowned self] in turn() } }

  var vhost: VirtualHost {
    guard let first = broker.vhosts["/"] else { preconditionFailure("a broker has a virtual host") }
    return first
  }

  /// What a loop does after a read batch.
  func turn() {
    broker.runLater()
    while broker.journal?.turnEnded() ?? false {}
  }

  /// All that is on its way is safe.
  func settle() {
    turn()
    store.work()
  }

  /// The process ends at once, and another one begins.
  func crash() throws {
    store = store.crashed()
    broker = try Broker(settings: settings, clock: clock, logger: Self.silent, store: store)
    listen()
  }

  @discardableResult
  func queue(_ name: ByteString, durable: Bool = true, arguments: FieldTable = [:]) throws -> Queue {
    try vhost.declare(QueueDefinition(name: name, durable: durable, arguments: arguments))
  }

  func publish(_ bodies: String..., to queue: ByteString, persistent: Bool = true) throws {
    for body in bodies { try vhost.queue(queue).enqueue(Self.message(body, persistent)) }
  }

  static func message(_ body: String, _ persistent: Bool = true) -> Message {
    var properties = BasicProperties()
    properties.deliveryMode = persistent ? 2 : 1
    return .of(body, properties: properties)
  }

  /// All that a queue has, as far as it can be had; redelivered ones have a star.
  func drain(_ name: ByteString) throws -> [String] {
    let queue = try vhost.queue(name)
    let holder = Holder()
    var bodies: [String] = []
    for _ in 0..<100_000 {
      switch queue.get(holder.consumer(queue, noAck: true)) {
      case .message(let shown, let redelivered, _): bodies.append(shown.bodyText + (redelivered ? "*" : ""))
      case .empty: return bodies
      case .later: settle()
      }
    }
    throw StoreError("the queue does not end")
  }
}

@Suite struct StoreTests {
  let core: StoredCore
  init() throws { core = try StoredCore() }

  @Test func `what was safe is there after a crash, in order, and the rest is not`() throws {
    try core.queue("q")
    try core.publish("a", "b", "c", to: "q")
    core.settle()
    try core.publish("d", to: "q")
    try core.crash()
    #expect(try core.vhost.queue("q").readyCount == 3)
    #expect(try core.drain("q") == ["a", "b", "c"])
  }

  @Test func `transient messages and queues that are not durable are gone`() throws {
    try core.queue("q")
    try core.queue("t", durable: false)
    try core.publish("a", to: "q")
    try core.publish("b", to: "q", persistent: false)
    try core.publish("c", to: "t")
    core.settle()
    try core.crash()
    #expect(try core.drain("q") == ["a"])
    #expect(!core.vhost.hasQueue("t"))
    #expect(core.store.messageCount == 0 || core.store.messageCount == 1)
  }

  @Test func `what was acknowledged does not come back`() throws {
    let queue = try core.queue("q")
    try core.publish("a", "b", "c", "d", to: "q")
    core.settle()
    let holder = Holder()
    try holder.consume(queue)
    core.settle()
    for tag: UInt64 in [2, 3] { holder.settle(tag, .acknowledged) }
    core.settle()
    try core.crash()
    #expect(try core.drain("q") == ["a*", "d*"])
  }

  @Test func `an acknowledged front is one range, and the cursor moves behind it`() throws {
    let queue = try core.queue("q")
    let bodies = (1...50).map { "\($0)" }
    for body in bodies { try core.publish(body, to: "q") }
    core.settle()
    let holder = Holder()
    try holder.consume(queue)
    core.settle()
    holder.settle(40, multiple: true, .acknowledged)
    core.settle()
    let number = try #require(queue.levels[0].stored?.number)
    #expect(core.store.cursor(of: number)?.head == 41)
    #expect(core.store.cursor(of: number)?.count == 10)
    try core.crash()
    #expect(try core.drain("q") == (41...50).map { "\($0)*" })
  }

  @Test func `a message that is acknowledged before its batch is taken is never written`() throws {
    let queue = try core.queue("q")
    core.settle()
    let holder = Holder()
    try holder.consume(queue)
    let before = core.store.written
    try core.publish("a", "b", to: "q")
    holder.settle(1, .acknowledged)
    core.settle()
    #expect(core.store.written == before + 1)
    try core.crash()
    #expect(try core.drain("q") == ["b*"])
  }

  @Test func `what a consumer takes for good is never written`() throws {
    let queue = try core.queue("q")
    core.settle()
    try Holder().consume(queue, noAck: true)
    let before = core.store.written
    try core.publish("a", "b", to: "q")
    core.settle()
    #expect(core.store.written == before)
  }

  @Test func `nothing is delivered from the store before the store knows that it may have been`() throws {
    let queue = try core.queue("q")
    try core.publish("a", "b", to: "q")
    core.settle()
    let holder = Holder()
    try holder.consume(queue)
    core.turn()
    #expect(holder.collector.texts.isEmpty)
    core.store.settle()
    #expect(holder.collector.texts == ["a", "b"])
    // The process ends before anything else is written.
    try core.crash()
    #expect(try core.drain("q") == ["a*", "b*"])
  }

  @Test func `what was never delivered is not said to be redelivered`() throws {
    let queue = try core.queue("q")
    let holder = Holder()
    try holder.consume(queue, prefetch: 1)
    try core.publish("a", "b", to: "q")
    core.settle()
    try core.crash()
    #expect(try core.drain("q") == ["a*", "b"])
  }

  @Test func `a rejected message that goes back stays safe`() throws {
    let queue = try core.queue("q")
    try core.publish("a", to: "q")
    core.settle()
    let holder = Holder()
    _ = holder.get(queue)
    core.settle()
    let tag = try #require(holder.get(queue)?.tag)
    holder.settle(tag, .rejected(requeue: true))
    core.settle()
    try core.crash()
    #expect(try core.drain("q") == ["a*"])
  }

  @Test func `a position is given once, whatever went at the end`() throws {
    let queue = try core.queue("q")
    try core.publish("a", to: "q")
    try core.publish("b", to: "q", persistent: false)
    core.settle()
    let holder = Holder()
    try holder.consume(queue)
    core.settle()
    holder.settle(2, multiple: true, .acknowledged)
    core.broker.endDeliveries()
    core.settle()
    try core.crash()
    try core.publish("c", to: "q")
    core.settle()
    try core.crash()
    #expect(try core.drain("q") == ["c"])
  }

  @Test func `a purge leaves what is unsettled`() throws {
    let queue = try core.queue("q")
    try core.publish("a", "b", "c", "d", to: "q")
    core.settle()
    let holder = Holder()
    try holder.consume(queue, prefetch: 1)
    core.settle()
    #expect(queue.purge() == 3)
    core.settle()
    try core.crash()
    #expect(try core.drain("q") == ["a*"])
  }

  @Test func `a purge after a crash takes what nobody has read`() throws {
    try core.queue("q")
    try core.publish("a", "b", to: "q")
    core.settle()
    try core.crash()
    #expect(try core.vhost.queue("q").purge() == 2)
    core.settle()
    #expect(core.store.messageCount == 0)
    try core.publish("c", to: "q")
    core.settle()
    try core.crash()
    #expect(try core.drain("q") == ["c"])
  }

  @Test func `a deleted queue is gone, and one of its name begins empty`() throws {
    let queue = try core.queue("q")
    try core.publish("a", to: "q")
    core.settle()
    core.vhost.remove(queue)
    try core.queue("q")
    try core.publish("b", to: "q")
    core.settle()
    try core.crash()
    #expect(try core.drain("q") == ["b"])
  }

  @Test func `a queue that is deleted before its messages are written leaves nothing`() throws {
    let queue = try core.queue("q")
    try core.publish("a", to: "q")
    core.vhost.remove(queue)
    core.settle()
    #expect(core.store.messageCount == 0)
    try core.crash()
    #expect(!core.vhost.hasQueue("q"))
  }

  @Test func `durable definitions are there again, and what hangs on others is not`() throws {
    let vhost = core.vhost
    try core.queue("q", arguments: ["x-max-length": .int64(5)])
    try core.queue("t", durable: false)
    for (name, durable) in [("e", true), ("x", false)] as [(ByteString, Bool)] {
      try vhost.declare(ExchangeDefinition(name: name, type: "topic", durable: durable))
    }
    for source in ["e", "x", "amq.topic"] as [ByteString] {
      for queue in ["q", "t"] as [ByteString] {
        try vhost.bind(
          source: try vhost.exchange(source), to: .queue(try vhost.queue(queue)), key: "k.#",
          arguments: ["a": true])
      }
    }
    try vhost.bind(
      source: try vhost.exchange("e"), to: .exchange(try vhost.exchange("amq.fanout")), key: "z",
      arguments: [:])
    core.settle()
    try core.crash()
    #expect(Set(core.vhost.queues.map(\.name)) == ["q"])
    #expect(try core.vhost.queue("q").arguments == ["x-max-length": .int64(5)])
    #expect(core.vhost.exchanges["x"] == nil)
    let found = try core.vhost.exchange("e").orderedBindings.map { "\($0.destination.name) \($0.key)" }
    #expect(found == ["q k.#", "amq.fanout z"])
    #expect(try core.vhost.exchange("amq.topic").orderedBindings.map(\.destination.name) == ["q"])
  }

  @Test func `what was unbound or deleted does not come back`() throws {
    let vhost = core.vhost
    try core.queue("q")
    try vhost.declare(ExchangeDefinition(name: "e", type: "direct", durable: true))
    for key in ["a", "b"] as [ByteString] {
      try vhost.bind(
        source: try vhost.exchange("e"), to: .queue(try vhost.queue("q")), key: key, arguments: [:])
    }
    core.settle()
    vhost.unbind(
      source: try vhost.exchange("e"), from: .queue(try vhost.queue("q")), key: "a", arguments: [:])
    core.settle()
    try core.crash()
    #expect(try core.vhost.exchange("e").orderedBindings.map(\.key) == ["b"])
    try core.vhost.deleteExchange("e", ifUnused: false)
    core.settle()
    try core.crash()
    #expect(core.vhost.exchanges["e"] == nil)
    // A binding that is made now is not one that was made before.
    try core.vhost.declare(ExchangeDefinition(name: "e", type: "direct", durable: true))
    try core.vhost.bind(
      source: try core.vhost.exchange("e"), to: .queue(try core.vhost.queue("q")), key: "c", arguments: [:])
    core.settle()
    try core.crash()
    #expect(try core.vhost.exchange("e").orderedBindings.map(\.key) == ["c"])
  }

  @Test func `an exchange whose type is not there is kept, refuses messages, and works when it is back`()
    throws
  {
    let make: ExchangeTypeMaker = { (_) throws(ProtocolError) in Plain() }
    try core.broker.install(exchangeType: "x-plain", make)
    try core.queue("q")
    try core.vhost.declare(ExchangeDefinition(name: "e", type: "x-plain", durable: true))
    try core.vhost.bind(
      source: try core.vhost.exchange("e"), to: .queue(try core.vhost.queue("q")), key: "", arguments: [:])
    core.settle()
    try core.crash()
    let exchange = try core.vhost.exchange("e")
    #expect(throws: ProtocolError.self) {
      try core.vhost.publish(StoredCore.message("m"), to: exchange, by: .none)
    }
    #expect(throws: ProtocolError.self) {
      try core.vhost.bind(
        source: exchange, to: .queue(try core.vhost.queue("q")), key: "new", arguments: [:])
    }
    try core.broker.install(exchangeType: "x-plain", make)
    _ = try core.vhost.publish(StoredCore.message("m"), to: exchange, by: .none)
    #expect(try core.drain("q") == ["m"])
  }

  @Test func `delayed messages come at their time, after a crash too, and once`() throws {
    try core.queue("q")
    core.vhost.delay(StoredCore.message("late"), to: "", by: .none, 10_000)
    var properties = BasicProperties()
    properties.deliveryMode = 2
    core.vhost.delay(.of("m", key: "q", properties: properties), to: "", by: .none, 10_000)
    core.settle()
    core.clock.advance(seconds: 4)
    try core.crash()
    core.store.work()
    core.clock.advance(seconds: 5)
    core.broker.deadlines.runDue()
    core.settle()
    #expect(try core.drain("q") == [])
    core.clock.advance(seconds: 1.1)
    core.broker.deadlines.runDue()
    core.settle()
    #expect(try core.vhost.queue("q").readyCount == 1)
    try core.crash()
    core.store.work()
    core.clock.advance(seconds: 20)
    core.broker.deadlines.runDue()
    core.settle()
    #expect(try core.drain("q") == ["m"])
  }

  @Test func `many delayed messages leave memory, and come at their time in order`() throws {
    var settings = Settings()
    settings.queueMemoryMaximum = 10 * Ledger.overhead
    let core = try StoredCore(settings)
    try core.queue("q")
    var properties = BasicProperties()
    properties.deliveryMode = 2
    for number in 1...60 {
      core.vhost.delay(.of("\(number)", key: "q", properties: properties), to: "", by: .none, 10_000)
      if number.isMultiple(of: 5) { core.settle() }
    }
    for again in [false, true] {
      if again { try core.crash() }
      core.settle()
      #expect(core.broker.ledger.octets < 20 * (Ledger.overhead + 2))
    }
    core.clock.advance(seconds: 11)
    core.broker.deadlines.runDue()
    core.settle()
    #expect(try core.drain("q") == (1...60).map(String.init))
    core.settle()
    #expect(core.store.messageCount == 0 && core.broker.ledger.octets == 0)
  }

  @Test func `what is due for an exchange whose type is not there waits for the type`() throws {
    let make: ExchangeTypeMaker = { (_) throws(ProtocolError) in Plain() }
    try core.broker.install(exchangeType: "x-plain", make)
    try core.queue("q")
    try core.vhost.declare(ExchangeDefinition(name: "e", type: "x-plain", durable: true))
    try core.vhost.bind(
      source: try core.vhost.exchange("e"), to: .queue(try core.vhost.queue("q")), key: "", arguments: [:])
    core.vhost.delay(StoredCore.message("m"), to: "e", by: .none, 1000)
    core.settle()
    core.clock.advance(seconds: 5)
    for _ in 0..<2 {
      try core.crash()
      core.store.work()
      core.clock.advance(seconds: 1)
      core.broker.deadlines.runDue()
      core.settle()
      #expect(try core.vhost.queue("q").readyCount == 0)
    }
    try core.broker.install(exchangeType: "x-plain", make)
    core.settle()
    // It may have been on its way when the process ended.
    #expect(try core.drain("q") == ["m*"])
  }

  /// The queue that it leaves has it safe, the one that it goes to has not, and is faster.
  @Test(arguments: [true, false])
  func `a dead letter that was delivered before a crash is redelivered after it`(expires: Bool) throws {
    try core.queue("dead")
    var arguments: FieldTable = ["x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"]
    arguments[expires ? "x-message-ttl" : "x-max-length"] = .int64(expires ? 1000 : 1)
    try core.queue("q", arguments: arguments)
    try core.publish("a", to: "q")
    core.settle()
    func die() throws {
      core.clock.advance(seconds: 2)
      core.broker.deadlines.runDue()
      if !expires { try core.publish("b", to: "q") }
      core.turn()
    }
    let holder = Holder()
    try holder.consume(try core.vhost.queue("dead"))
    try die()
    // The process ends as soon as somebody has it.
    for _ in 0..<10 where holder.collector.texts.isEmpty { _ = core.store.workOnce() }
    #expect(holder.collector.texts == ["a"])
    try core.crash()
    try die()
    core.settle()
    #expect(try core.drain("dead").first == "a*")
  }

  @Test func `a dead letter leaves its queue when it is in the next one`() throws {
    try core.queue("dead")
    let queue = try core.queue(
      "q", arguments: ["x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"])
    try core.publish("a", to: "q")
    core.settle()
    let holder = Holder()
    try holder.consume(queue)
    core.settle()
    holder.settle(1, .rejected(requeue: false))
    core.settle()
    try core.crash()
    #expect(try core.drain("q") == [])
    #expect(try core.drain("dead") == ["a"])
  }

  @Test func `a store that fails tells the broker, and nothing is said to be safe`() throws {
    try core.queue("q")
    core.settle()
    var reason: String?
    core.broker.journal?.onFailure = { reason = $0 }
    core.store.failure = "input/output error"
    try core.publish("a", to: "q")
    let journal = try #require(core.broker.journal)
    var isSafe = false
    journal.whenSettled(journal.lastTicket) { isSafe = true }
    core.settle()
    #expect(reason == "input/output error" && !isSafe)
  }

  @Test func `without room messages wait, what frees room goes on, and all is written when there is room`()
    throws
  {
    let queue = try core.queue("q")
    try core.publish("a", "b", to: "q")
    core.settle()
    core.store.space = .low("full")
    try core.publish("c", to: "q")
    let journal = try #require(core.broker.journal)
    core.settle()
    #expect(core.broker.alarm == "full" && journal.holdsPublishers && !journal.isIdle)
    // Consumers go on, what is not written yet included.
    let holder = Holder()
    try holder.consume(queue, prefetch: 2)
    core.settle()
    #expect(holder.collector.texts == ["a", "b"])
    holder.settle(1, .acknowledged)
    core.settle()
    #expect(core.store.messageCount == 1 && holder.collector.texts == ["a", "b", "c"])
    try core.queue("r")
    core.settle()
    #expect(!journal.hasOpenDefinitions)
    core.store.space = .enough
    core.clock.advance(seconds: 1)
    core.broker.deadlines.runDue()
    core.settle()
    #expect(core.broker.alarm == nil && journal.isIdle && core.store.messageCount == 2)
    try core.crash()
    #expect(try core.drain("q") == ["b*", "c*"])
  }
}

/// Routes to all bindings.
private final class Plain: ExchangeType {
  let routesByKeyAlone = false
  private var bindings: [Binding] = []
  func add(_ binding: Binding) { bindings.append(binding) }
  func remove(_ binding: Binding) { bindings.removeAll { $0 === binding } }
  func route(_ message: Message, into destinations: Destinations) {
    for binding in bindings { destinations.add(binding) }
  }

  @Test func `a dead letter follows its CC after a crash, too`() throws {
    let core = try StoredCore()
    try core.queue("q", arguments: ["x-dead-letter-exchange": "amq.direct"])
    try core.queue("copied")
    try core.vhost.bind(
      source: try core.vhost.exchange("amq.direct"), to: .queue(try core.vhost.queue("copied")), key: "cc",
      arguments: [:])
    var properties = BasicProperties(headers: ["CC": .array(["cc"])])
    properties.deliveryMode = 2
    let message = try Message.of("m", key: "q", properties: properties).withExtraKeys()
    try core.vhost.queue("q").enqueue(message)
    core.settle()
    try core.crash()
    let queue = try core.vhost.queue("q")
    let holder = Holder()
    try holder.consume(queue)
    core.settle()
    holder.settle(1, .rejected(requeue: false))
    core.settle()
    #expect(try core.vhost.queue("copied").readyCount == 1)
  }
}
