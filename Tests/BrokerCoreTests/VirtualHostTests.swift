/// Exchanges, queues and bindings under their names: what is made, found, refused, and what goes with what.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@Suite struct VirtualHostTests {
  let core = Core()

  // MARK: what is there at first

  @Test func `the exchanges of the specification are there, durable`() throws {
    let types: [ByteString: ByteString] = [
      "": "direct", "amq.direct": "direct", "amq.fanout": "fanout", "amq.topic": "topic",
      "amq.headers": "headers", "amq.match": "headers", "amq.rabbitmq.event": "topic",
      "amq.rabbitmq.trace": "topic",
    ]
    #expect(Set(core.vhost.exchanges.keys) == Set(types.keys))
    for (name, type) in types {
      let exchange = try core.vhost.exchange(name)
      #expect(exchange.typeName == type && exchange.durable && !exchange.autoDelete)
      #expect(exchange.isInternal == name.hasPrefix("amq.rabbitmq."))
    }
    #expect(core.vhost.queues.isEmpty)
  }

  @Test func `a virtual host has its own names`() throws {
    let other = try core.broker.addVirtualHost("other")
    try core.queue("q")
    #expect(refusal { _ = try other.queue("q") }?.text == "no queue 'q' in vhost 'other'")
    #expect(throws: Refusal(.exists, "virtual host 'other' already exists")) {
      try core.broker.addVirtualHost("other")
    }
    #expect(Set(core.broker.vhosts.keys) == ["/", "other"])
  }

  // MARK: names

  @Test func `what is not there is not found`() {
    #expect(
      refusal { _ = try core.vhost.queue("q") } == ProtocolError(.notFound, "no queue 'q' in vhost '/'"))
    #expect(
      refusal { _ = try core.vhost.exchange("x") } == ProtocolError(.notFound, "no exchange 'x' in vhost '/'")
    )
  }

  @Test func `a queue belongs to the connection that declared it exclusive`() throws {
    let owner = ConnectionID(7)
    try core.queue("q", owner: owner)
    let locked = ProtocolError(
      .resourceLocked,
      "cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on "
        + "another connection or the exclusive property value does not match that of the original "
        + "declaration."
    )
    #expect(refusal { _ = try core.vhost.queue("q", usedBy: core.connection) } == locked)
    #expect(refusal { _ = try core.vhost.queue("q", usedBy: owner) } == nil)
    #expect(refusal { try core.queue("q") } == locked)
    #expect(refusal { try core.queue("q", owner: core.connection) } == locked)
    #expect(refusal { try core.queue("q", owner: owner) } == nil)
    try core.queue("shared")
    #expect(refusal { try core.queue("shared", owner: owner) }?.code == .resourceLocked)
  }

  @Test func `a name that begins with amq. is reserved, but what is there may be declared again`() throws {
    #expect(
      refusal { try core.exchange("amq.new") }
        == ProtocolError(.accessRefused, "exchange name 'amq.new' contains reserved prefix 'amq.*'"))
    #expect(refusal { try core.exchange("amq.topic", "topic", durable: true) } == nil)
    #expect(refusal { try core.exchange("amq", "topic") } == nil)
  }

  @Test func `an unknown exchange type is refused`() {
    #expect(
      refusal { try core.exchange("x", "x-what") }
        == ProtocolError(.preconditionFailed, "unknown exchange type 'x-what'"))
    #expect(
      refusal { try core.exchange("amq.topic", "x-what") }?.text == "unknown exchange type 'x-what'")
  }

  @Test func `an alternate exchange has to be named by a string`() {
    #expect(
      refusal { try core.exchange("x", arguments: ["alternate-exchange": .int32(1)]) }
        == ProtocolError(
          .preconditionFailed,
          "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost '/'")
    )
  }

  // MARK: bindings

  @Test func `a binding is one however often it is made, and a message comes once`() throws {
    try core.queue("q")
    for _ in 0..<3 { try core.bind("amq.direct", to: "q", key: "k") }
    #expect(try core.vhost.exchange("amq.direct").bindings.count == 1)
    try core.bind("amq.direct", to: "q", key: "k", arguments: ["a": 1])
    #expect(try core.vhost.exchange("amq.direct").bindings.count == 2, "other arguments are another binding")
    #expect(try core.route("amq.direct", "k") == ["q"])
    try core.unbind("amq.direct", from: "q", key: "k")
    #expect(try core.route("amq.direct", "k") == ["q"])
    try core.unbind("amq.direct", from: "q", key: "k", arguments: ["a": 1])
    try core.unbind("amq.direct", from: "q", key: "k")
    #expect(try core.route("amq.direct", "k") == [])
  }

  @Test func `an exchange and a queue of one name are two destinations`() throws {
    try core.queue("same")
    try core.queue("behind")
    try core.exchange("same")
    try core.bind("same", to: "behind")
    try core.bind("amq.direct", to: "same", key: "k")
    try core.bind("amq.direct", toExchange: "same", key: "k")
    #expect(try core.route("amq.direct", "k") == ["behind", "same"])
    try core.unbind("amq.direct", from: "same", key: "k")
    #expect(try core.route("amq.direct", "k") == ["behind"])
  }

  @Test func `bindings are listed in the order in which they were made`() throws {
    for name in ["a", "b", "c"] as [ByteString] { try core.queue(name) }
    for name in ["b", "c", "a"] as [ByteString] { try core.bind("amq.fanout", to: name) }
    let listed = try core.vhost.exchange("amq.fanout").orderedBindings.map(\.destination.name)
    #expect(listed == ["b", "c", "a"])
  }

  @Test func `a queue that goes takes its bindings along`() throws {
    let queue = try core.queue("q")
    try core.bind("amq.fanout", to: "q")
    try core.bind("amq.topic", to: "q", key: "#")
    core.vhost.remove(queue)
    #expect(try core.vhost.exchange("amq.fanout").bindings.isEmpty)
    try core.queue("q")
    #expect(try core.route("amq.fanout") == [])
    #expect(try core.route("amq.topic") == [])
  }

  // MARK: exchanges bound to exchanges

  @Test func `a message goes through bound exchanges and comes to each queue once`() throws {
    for name in ["a", "b"] as [ByteString] { try core.queue(name) }
    for name in ["x", "y", "z"] as [ByteString] { try core.exchange(name) }
    try core.bind("x", toExchange: "y")
    try core.bind("x", toExchange: "z")
    try core.bind("y", to: "a")
    try core.bind("z", to: "a")
    try core.bind("z", to: "b")
    try core.bind("x", to: "b")
    #expect(try core.route("x") == ["a", "b"])
    let count = try core.publish("m", to: "x")
    #expect(count == 2)
    #expect(try core.vhost.queue("a").readyCount == 1)
    #expect(try core.vhost.queue("b").readyCount == 1)
  }

  @Test func `the key is matched anew by each exchange`() throws {
    try core.queue("q")
    try core.exchange("t", "topic")
    try core.bind("amq.direct", toExchange: "t", key: "a.b")
    try core.bind("t", to: "q", key: "*.b")
    #expect(try core.route("amq.direct", "a.b") == ["q"])
    #expect(try core.route("amq.direct", "x.b") == [])
  }

  @Test func `cycles end`() throws {
    try core.queue("q")
    for name in ["x", "y", "z"] as [ByteString] { try core.exchange(name) }
    for (from, to) in [("x", "y"), ("y", "z"), ("z", "x"), ("x", "x")] as [(ByteString, ByteString)] {
      try core.bind(from, toExchange: to)
    }
    try core.bind("z", to: "q")
    for name in ["x", "y", "z"] as [ByteString] { #expect(try core.route(name) == ["q"]) }
  }

  @Test func `an exchange that goes takes the bindings that lead to it along`() throws {
    try core.queue("q")
    try core.exchange("x")
    try core.exchange("y")
    try core.bind("x", toExchange: "y")
    try core.bind("y", to: "q")
    try core.vhost.deleteExchange("y", ifUnused: false)
    #expect(try core.route("x") == [])
    #expect(try core.vhost.exchange("x").bindings.isEmpty)
    try core.exchange("y")
    try core.bind("y", to: "q")
    #expect(try core.route("x") == [], "a new exchange of that name is another")
  }

  // MARK: deleting exchanges

  @Test func `an exchange in use is not deleted if-unused`() throws {
    try core.queue("q")
    try core.exchange("x")
    try core.exchange("y")
    try core.bind("x", to: "q")
    try core.bind("x", toExchange: "y")
    #expect(
      refusal { try core.vhost.deleteExchange("x", ifUnused: true) }
        == ProtocolError(.preconditionFailed, "exchange 'x' in vhost '/' in use"))
    // Bindings that lead to it are no use of it.
    #expect(refusal { try core.vhost.deleteExchange("y", ifUnused: true) } == nil)
    #expect(refusal { try core.vhost.deleteExchange("x", ifUnused: false) } == nil)
    #expect(
      refusal { try core.vhost.deleteExchange("x", ifUnused: true) } == nil, "a missing one is no error")
    #expect(refusal { _ = try core.vhost.exchange("x") }?.code == .notFound)
  }

  @Test func `an auto-delete exchange goes with its last binding`() throws {
    try core.queue("q")
    try core.queue("r")
    try core.exchange("x", autoDelete: true)
    try core.bind("x", to: "q")
    try core.bind("x", to: "r")
    try core.unbind("x", from: "q")
    #expect(core.vhost.exchanges["x"] != nil)
    core.vhost.remove(try core.vhost.queue("r"))
    #expect(core.vhost.exchanges["x"] == nil)
  }

  @Test func `auto-delete exchanges that hang on one another go together`() throws {
    let queue = try core.queue("q")
    for name in ["x", "y", "z"] as [ByteString] { try core.exchange(name, autoDelete: true) }
    try core.exchange("keeps")
    try core.bind("x", toExchange: "y")
    try core.bind("y", toExchange: "z")
    try core.bind("keeps", toExchange: "y")
    try core.bind("z", to: "q")
    try core.bind("z", to: "q", key: "other")
    core.vhost.remove(queue)
    for name in ["x", "y", "z"] as [ByteString] { #expect(core.vhost.exchanges[name] == nil) }
    #expect(try core.vhost.exchange("keeps").bindings.isEmpty)
  }

  @Test func `auto-delete exchanges in a cycle go together`() throws {
    for name in ["x", "y"] as [ByteString] { try core.exchange(name, autoDelete: true) }
    try core.bind("x", toExchange: "y")
    try core.bind("y", toExchange: "x")
    try core.vhost.deleteExchange("x", ifUnused: false)
    #expect(core.vhost.exchanges["x"] == nil && core.vhost.exchanges["y"] == nil)
  }

  @Test func `a chain of auto-delete exchanges may be as long as a client likes`() throws {
    let queue = try core.queue("q")
    let count = 20_000
    for number in 0..<count {
      try core.exchange(ByteString("x\(number)"), autoDelete: true)
      if number > 0 { try core.bind(ByteString("x\(number - 1)"), toExchange: ByteString("x\(number)")) }
    }
    try core.bind(ByteString("x\(count - 1)"), to: "q")
    #expect(try core.route("x0") == ["q"])
    let standard = core.vhost.exchanges.count - count
    core.vhost.remove(queue)
    #expect(core.vhost.exchanges.count == standard)
  }

  // MARK: alternate exchanges

  @Test func `what an exchange leads nowhere goes to its alternate`() throws {
    for name in ["hit", "miss", "last"] as [ByteString] { try core.queue(name) }
    try core.exchange("end")
    try core.bind("end", to: "last")
    try core.exchange("middle", "direct", arguments: ["alternate-exchange": "end"])
    try core.bind("middle", to: "miss", key: "second")
    try core.exchange("x", "direct", arguments: ["alternate-exchange": "middle"])
    try core.bind("x", to: "hit", key: "first")
    #expect(try core.route("x", "first") == ["hit"])
    #expect(try core.route("x", "second") == ["miss"])
    #expect(try core.route("x", "third") == ["last"])
  }

  @Test func `an alternate that is not there, or is the exchange itself, leads nowhere`() throws {
    try core.exchange("x", arguments: ["alternate-exchange": "missing"])
    try core.exchange("y", arguments: ["alternate-exchange": "y"])
    #expect(try core.route("x") == [])
    #expect(try core.route("y") == [])
    try core.queue("q")
    try core.exchange("missing")
    try core.bind("missing", to: "q")
    #expect(try core.route("x") == ["q"], "it may come later")
  }

  @Test func `the alternate is asked if the exchange chose nothing, though other exchanges did`() throws {
    for name in ["a", "b"] as [ByteString] { try core.queue(name) }
    try core.exchange("fallback")
    try core.bind("fallback", to: "b")
    try core.exchange("inner", arguments: ["alternate-exchange": "fallback"])
    try core.exchange("outer")
    try core.bind("outer", to: "a")
    try core.bind("outer", toExchange: "inner")
    #expect(try core.route("outer") == ["a", "b"])
  }

  // MARK: replies

  @Test func `a reply queue is reached by its address alone, and is gone with its consumer`() throws {
    let address: ByteString = "amq.rabbitmq.reply-to.g1.x"
    let queue = core.vhost.addReplyQueue(address: address, owner: core.connection)
    let holder = Holder()
    let consumer = try holder.consume(queue, noAck: true)
    #expect(core.vhost.hasReplyQueue(address))
    #expect(core.vhost.queues.isEmpty, "it is no queue that others see")
    #expect(refusal { _ = try core.vhost.queue(address) }?.code == .notFound)
    try core.publish("reply", key: address)
    #expect(holder.collector.texts == ["reply"])
    queue.unsubscribe(consumer)
    #expect(!core.vhost.hasReplyQueue(address) && queue.isDeleted)
    #expect(try core.publish("late", key: address) == 0)
  }

  // MARK: what channels remember

  @Test func `the topology changes with everything that may change a route`() throws {
    var last = core.vhost.topology
    func changed(_ what: String, _ work: () throws -> Void) throws {
      try work()
      #expect(core.vhost.topology != last, "\(what)")
      last = core.vhost.topology
    }
    try changed("a queue is declared") { try core.queue("q") }
    try changed("an exchange is declared") { try core.exchange("x") }
    try changed("a binding is made") { try core.bind("x", to: "q") }
    try changed("a binding is taken away") { try core.unbind("x", from: "q") }
    try changed("an exchange is deleted") { try core.vhost.deleteExchange("x", ifUnused: false) }
    try changed("a queue is deleted") { core.vhost.remove(try core.vhost.queue("q")) }
    try changed("a type is installed") {
      try core.broker.install(exchangeType: "fanout") { _ in NowhereType() }
    }
  }
}

/// An exchange type that leads nowhere.
private final class NowhereType: ExchangeType {
  let routesByKeyAlone = true
  func add(_ binding: Binding) {}
  func remove(_ binding: Binding) {}
  func route(_ message: Message, into destinations: Destinations) {}
}
