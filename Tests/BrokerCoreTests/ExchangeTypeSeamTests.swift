/// Exchange types from outside: what the seam passes on, and that a new version replaces the old one whole.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

/// A type that writes down what it is asked, and leads to all bindings or to queues by name.
private final class Recorder: ExchangeType {
  let routesByKeyAlone: Bool
  let version: Int
  private(set) var bindings: [Binding] = []
  /// Queues that each message goes to, besides the bindings.
  var names: [ByteString] = []
  var refusesKey: ByteString?
  var refusesMessages: String?
  var drops = false

  init(version: Int = 1, routesByKeyAlone: Bool = false) {
    self.version = version
    self.routesByKeyAlone = routesByKeyAlone
  }

  func add(_ binding: Binding) throws(ProtocolError) {
    if binding.key == refusesKey { throw ProtocolError(.preconditionFailed, "key '\(binding.key)' refused") }
    bindings.append(binding)
  }

  func remove(_ binding: Binding) { bindings.removeAll { $0 === binding } }

  func route(_ message: Message, into destinations: Destinations) throws(ProtocolError) {
    if let text = refusesMessages { throw ProtocolError(.preconditionFailed, text) }
    if drops { return destinations.drop() }
    for binding in bindings { destinations.add(binding) }
    for name in names { name.bytes.withUnsafeBytes { destinations.add(queueNamed: $0) } }
  }
}

@Suite struct ExchangeTypeSeamTests {
  let core = Core()

  private func install(
    _ version: Int = 1, _ prepare: @escaping (Recorder) -> Void = { _ in }
  ) throws {
    try core.broker.install(exchangeType: "x-test") { _ in
      let recorder = Recorder(version: version)
      prepare(recorder)
      return recorder
    }
  }

  private func recorder(_ name: ByteString) throws -> Recorder? {
    try core.vhost.exchange(name).type as? Recorder
  }

  @Test func `an installed type serves new exchanges`() throws {
    #expect(!core.broker.knowsExchangeType("x-test"))
    try install()
    #expect(core.broker.knowsExchangeType("x-test"))
    try core.exchange("x", "x-test")
    try core.queue("q")
    try core.bind("x", to: "q")
    #expect(try core.route("x") == ["q"])
  }

  @Test func `a type may lead to queues by name, and unknown names are no destination`() throws {
    try install { $0.names = ["a", "missing", "a", "b"] }
    for name in ["a", "b", "c"] as [ByteString] { try core.queue(name) }
    try core.exchange("x", "x-test")
    #expect(try core.route("x") == ["a", "b"])
  }

  @Test func `unknown names alone leave the message to the alternate exchange`() throws {
    try install { $0.names = ["missing"] }
    try core.queue("q")
    try core.bind("amq.fanout", to: "q")
    try core.exchange("x", "x-test", arguments: ["alternate-exchange": "amq.fanout"])
    #expect(try core.route("x") == ["q"])
  }

  @Test func `a type may drop a message, which then goes to no alternate exchange either`() throws {
    try install { $0.drops = true }
    try core.queue("q")
    try core.bind("amq.fanout", to: "q")
    try core.exchange("x", "x-test", arguments: ["alternate-exchange": "amq.fanout"])
    func isDropped(_ exchange: ByteString) throws -> Bool {
      try core.vhost.route(.of("m"), from: try core.vhost.exchange(exchange), publisher: .none).isDropped
    }
    #expect(try core.route("x") == [])
    #expect(try isDropped("x"))
    #expect(try !isDropped("amq.fanout"), "the next message is another matter")
  }

  @Test func `an exchange whose arguments are refused is not made`() throws {
    try core.broker.install(exchangeType: "x-test") { exchange throws(ProtocolError) in
      throw ProtocolError(.preconditionFailed, "exchange '\(exchange.name)' refused")
    }
    #expect(refusal { try core.exchange("x", "x-test") }?.text == "exchange 'x' refused")
    #expect(core.vhost.exchanges["x"] == nil)
  }

  @Test func `a binding that is refused is not made`() throws {
    try install { $0.refusesKey = "bad" }
    try core.exchange("x", "x-test")
    try core.queue("q")
    #expect(refusal { try core.bind("x", to: "q", key: "bad") }?.text == "key 'bad' refused")
    #expect(try core.vhost.exchange("x").bindings.isEmpty)
    #expect(try core.route("x") == [])
    core.vhost.remove(try core.vhost.queue("q"))
  }

  @Test func `a message that is refused goes nowhere`() throws {
    try install { $0.refusesMessages = "not today" }
    try core.exchange("x", "x-test")
    #expect(refusal { _ = try core.route("x") }?.text == "not today")
    try core.queue("q")
    #expect(try core.route("", "q") == ["q"], "the next message is routed as ever")
  }

  @Test func `a new version takes over all exchanges and their bindings, in order`() throws {
    try install(1)
    try core.queue("q")
    for name in ["x", "y"] as [ByteString] {
      try core.exchange(name, "x-test")
      for key in ["c", "a", "b"] as [ByteString] { try core.bind(name, to: "q", key: key) }
    }
    try core.unbind("x", from: "q", key: "a")
    let topology = core.vhost.topology
    try install(2)
    #expect(core.vhost.topology != topology)
    #expect(try recorder("x")?.version == 2)
    #expect(try recorder("x")?.bindings.map(\.key) == ["c", "b"])
    #expect(try recorder("y")?.bindings.map(\.key) == ["c", "a", "b"])
    #expect(try core.route("x") == ["q"])
    core.vhost.remove(try core.vhost.queue("q"))
    #expect(try recorder("y")?.bindings.isEmpty == true)
  }

  @Test func `a new version that refuses one binding replaces none`() throws {
    try install(1)
    let other = try core.broker.addVirtualHost("other")
    try other.declare(ExchangeDefinition(name: "z", type: "x-test"))
    try core.queue("q")
    for name in ["x", "y"] as [ByteString] { try core.exchange(name, "x-test") }
    try core.bind("x", to: "q", key: "good")
    try core.bind("y", to: "q", key: "bad")
    let topology = core.vhost.topology
    #expect(refusal { try install(2) { $0.refusesKey = "bad" } }?.text == "key 'bad' refused")
    #expect(core.vhost.topology == topology)
    for name in ["x", "y"] as [ByteString] { #expect(try recorder(name)?.version == 1) }
    #expect((try other.exchange("z").type as? Recorder)?.version == 1)
    try core.exchange("new", "x-test")
    #expect(try recorder("new")?.version == 1)
    #expect(try core.route("x") == ["q"])
  }

  @Test func `a type that is withdrawn serves those that have it, and no new ones`() throws {
    try install()
    try core.queue("q")
    try core.exchange("x", "x-test")
    try core.bind("x", to: "q")
    core.broker.withdraw(exchangeType: "x-test")
    #expect(refusal { try core.exchange("y", "x-test") }?.text == "unknown exchange type 'x-test'")
    #expect(try core.route("x") == ["q"])
  }

  @Test func `a route may be remembered only if every exchange routes by key alone`() throws {
    try install()
    try core.queue("q")
    try core.exchange("x", "x-test")
    try core.exchange("y")
    try core.exchange("z", arguments: ["alternate-exchange": "x"])
    try core.bind("y", toExchange: "x")
    func isByKeyAlone(_ exchange: ByteString, _ message: Message = .of("m")) throws -> Bool {
      try core.vhost.route(message, from: try core.vhost.exchange(exchange), publisher: .none).byKeyAlone
    }
    #expect(try isByKeyAlone("amq.fanout"))
    #expect(try isByKeyAlone("amq.topic"))
    #expect(try isByKeyAlone("amq.direct"))
    #expect(try isByKeyAlone(""))
    #expect(try !isByKeyAlone("amq.headers"))
    #expect(try !isByKeyAlone("x"))
    #expect(try !isByKeyAlone("y"), "through a bound exchange")
    #expect(try !isByKeyAlone("z"), "through an alternate exchange")
    let copied = try Message.of("m", properties: .init(headers: ["CC": .array(["k"])])).withExtraKeys()
    #expect(try !isByKeyAlone("amq.fanout", copied), "CC is no key")
  }

  @Test func `the publisher's name is there for the type to ask`() throws {
    _ = try core.vhost.route(.of("m"), from: try core.vhost.exchange(""), publisher: Identity(name: "alice"))
    #expect(core.vhost.publisher.name == "alice")
  }
}
