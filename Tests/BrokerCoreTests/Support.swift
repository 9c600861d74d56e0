/// What the tests of the core share: a broker without sockets, and short words for what a channel does.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Logging
import Testing

/// A broker with its first virtual host. Silent.
struct Core {
  let broker: Broker
  let vhost: VirtualHost
  let connection = ConnectionID(1)

  init(_ settings: Settings = Settings()) {
    broker = Broker(
      settings: settings, clock: FakeClock(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    guard let first = broker.vhosts["/"] else { preconditionFailure("a broker has a virtual host") }
    vhost = first
  }

  @discardableResult
  func queue(
    _ name: ByteString, durable: Bool = false, owner: ConnectionID? = nil, autoDelete: Bool = false,
    arguments: FieldTable = [:]
  ) throws -> Queue {
    try vhost.declare(
      QueueDefinition(
        name: name, durable: durable, owner: owner, autoDelete: autoDelete, arguments: arguments)
    )
  }

  @discardableResult
  func exchange(
    _ name: ByteString, _ type: ByteString = "fanout", durable: Bool = false, autoDelete: Bool = false,
    isInternal: Bool = false, arguments: FieldTable = [:]
  ) throws -> Exchange {
    try vhost.declare(
      ExchangeDefinition(
        name: name, type: type, durable: durable, autoDelete: autoDelete, isInternal: isInternal,
        arguments: arguments))
    return try vhost.exchange(name)
  }

  func bind(
    _ source: ByteString, to queue: ByteString, key: ByteString = "", arguments: FieldTable = [:]
  ) throws {
    try vhost.bind(
      source: try vhost.exchange(source), to: .queue(try vhost.queue(queue)), key: key, arguments: arguments)
  }

  func unbind(
    _ source: ByteString, from queue: ByteString, key: ByteString = "", arguments: FieldTable = [:]
  ) throws {
    vhost.unbind(
      source: try vhost.exchange(source), from: .queue(try vhost.queue(queue)), key: key,
      arguments: arguments)
  }

  func bind(_ source: ByteString, toExchange destination: ByteString, key: ByteString = "") throws {
    try vhost.bind(
      source: try vhost.exchange(source), to: .exchange(try vhost.exchange(destination)), key: key,
      arguments: [:])
  }

  /// The names of the queues that a message goes to, sorted; a queue that is named twice stands there twice.
  func route(
    _ exchange: ByteString, _ key: ByteString = "", headers: FieldTable? = nil
  ) throws -> [String] {
    let properties = headers.map { BasicProperties(headers: $0) } ?? BasicProperties()
    let message = try Message.of("", exchange: exchange, key: key, properties: properties).withExtraKeys()
    let found = try vhost.route(
      message, from: try vhost.exchange(exchange), publisher: Identity(name: "guest"))
    return found.queues.map(\.name.text).sorted()
  }

  /// Publishes as a channel does.
  @discardableResult
  func publish(_ body: String, to exchange: ByteString = "", key: ByteString = "") throws -> Int {
    let message = Message.of(body, exchange: exchange, key: key)
    let found = try vhost.route(
      message, from: try vhost.exchange(exchange), publisher: Identity(name: "guest")
    ).queues
    for queue in found { queue.enqueue(message) }
    return found.count
  }
}

/// What a channel holds of the core: deliveries, and consumers that settle them.
struct Holder {
  let deliveries = Deliveries()
  let collector: Collector

  init(isOpen: Bool = true) { collector = Collector(isOpen: isOpen) }

  func consumer(
    _ queue: Queue, tag: ByteString = "tag", noAck: Bool = false, exclusive: Bool = false, priority: Int = 0,
    prefetch: Int = 0, arguments: FieldTable = [:]
  ) -> Consumer {
    Consumer(
      tag: tag, queue: queue, noAck: noAck, exclusive: exclusive, priority: priority, prefetch: prefetch,
      arguments: arguments, deliveries: deliveries, outlet: collector)
  }

  @discardableResult
  func consume(
    _ queue: Queue, tag: ByteString = "tag", noAck: Bool = false, exclusive: Bool = false, priority: Int = 0,
    prefetch: Int = 0, arguments: FieldTable = [:]
  ) throws -> Consumer {
    let consumer = consumer(
      queue, tag: tag, noAck: noAck, exclusive: exclusive, priority: priority, prefetch: prefetch,
      arguments: arguments)
    try queue.subscribe(consumer)
    queue.drain()
    return consumer
  }

  /// `basic.get`.
  func get(_ queue: Queue, noAck: Bool = false) -> (text: String, tag: UInt64, redelivered: Bool)? {
    guard case .message(let shown, let redelivered, let tag) = queue.get(consumer(queue, noAck: noAck)) else {
      return nil
    }
    return (shown.bodyText, tag, redelivered)
  }

  /// Settles, then lets the queues deliver, as a channel does.
  @discardableResult
  func settle(_ tag: UInt64, multiple: Bool = false, _ settlement: Settlement = .acknowledged) -> Bool {
    var touched: [Queue] = []
    let found = deliveries.take(tag, multiple: multiple) { delivery in
      delivery.settle(settlement)
      if let queue = delivery.queue { touched.append(queue) }
    }
    for queue in touched { queue.drain() }
    return found
  }
}

/// What `work` throws, or nil.
func refusal(_ work: () throws -> Void) -> ProtocolError? {
  do {
    try work()
    return nil
  } catch {
    return error as? ProtocolError
  }
}
