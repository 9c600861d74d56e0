import AMQPWire

/// A virtual host: exchanges, queues and bindings under their names, and what may be done with them.
/// Knows no connection.
public final class VirtualHost {
  public let name: ByteString
  public unowned let broker: Broker
  public private(set) var exchanges: [ByteString: Exchange] = [:]
  private var queueTable = OctetMap<Queue>()
  /// Queues behind the addresses of direct reply-to: found by publishes only.
  private var replyQueues = OctetMap<Queue>()
  private var bindingSequence: UInt64 = 0
  /// Changes whenever a route may: channels remember where a key led only while it stands.
  public private(set) var topology: UInt64 = 0
  private lazy var destinations = Destinations(vhost: self)
  /// Who publishes the message that is being routed, for scripts that ask.
  public private(set) var publisher = Identity.none

  init(name: ByteString, broker: Broker) {
    self.name = name
    self.broker = broker
    let standard: [(ByteString, ByteString, Bool)] = [
      ("", "direct", false), ("amq.direct", "direct", false), ("amq.fanout", "fanout", false),
      ("amq.headers", "headers", false), ("amq.match", "headers", false), ("amq.topic", "topic", false),
      ("amq.rabbitmq.trace", "topic", true),
    ]
    for (name, type, isInternal) in standard {
      let definition = ExchangeDefinition(name: name, type: type, durable: true, isInternal: isInternal)
      let exchange = Exchange(definition, vhost: self)
      guard let made = try? broker.makeType(of: exchange) else { preconditionFailure("\(type) is built in") }
      exchange.type = made
      exchanges[name] = exchange
    }
  }

  func topologyChanged() { topology &+= 1 }

  // MARK: publishing

  /// Where a message goes, valid until the next message is routed.
  /// - Throws: when the exchange refuses the message.
  // hot:
  public func route(_ message: Message, from exchange: Exchange, publisher: Identity) throws(ProtocolError)
    -> Destinations
  {
    self.publisher = publisher
    try destinations.resolve(message, from: exchange)
    return destinations
  }

  // MARK: exchanges

  public func exchange(_ name: ByteString) throws(ProtocolError) -> Exchange {
    guard let exchange = exchanges[name] else {
      throw ProtocolError(.notFound, "no \(describedExchange(name))")
    }
    return exchange
  }

  public func describedExchange(_ name: ByteString) -> String {
    "exchange '\(name)' in vhost '\(self.name)'"
  }

  /// Makes an exchange, or checks that the one there is was declared alike.
  /// - Throws: 403 for a reserved name, 406 for another type or other properties, and what the type refuses.
  public func declare(_ definition: ExchangeDefinition) throws(ProtocolError) {
    guard broker.knowsExchangeType(definition.type) else {
      throw ProtocolError(.preconditionFailed, "unknown exchange type '\(definition.type)'")
    }
    if let exchange = exchanges[definition.name] {
      return try exchange.expectEqual(to: definition)
    }
    guard !definition.name.hasPrefix("amq.") else {
      throw ProtocolError(
        .accessRefused, "exchange name '\(definition.name)' contains reserved prefix 'amq.*'")
    }
    if let alternate = definition.arguments["alternate-exchange"], alternate.string == nil {
      throw ProtocolError(
        .preconditionFailed,
        "invalid type '\(alternate.typeName)' for arg 'alternate-exchange' in "
          + describedExchange(definition.name))
    }
    let exchange = Exchange(definition, vhost: self)
    exchange.type = try broker.makeType(of: exchange)
    exchanges[definition.name] = exchange
    topologyChanged()
  }

  /// - Throws: 406 if it has bindings and `ifUnused` is asked for. A missing one is no error.
  public func deleteExchange(_ name: ByteString, ifUnused: Bool) throws(ProtocolError) {
    guard let exchange = exchanges[name] else { return }
    if ifUnused, !exchange.bindings.isEmpty {
      throw ProtocolError(.preconditionFailed, "\(describedExchange(name)) in use")
    }
    remove(exchange)
  }

  /// Takes exchanges away, and with them those that go because of it. A list and no recursion: a client can
  /// make the chain as long as it likes.
  private func remove(_ exchange: Exchange) {
    var doomed = [exchange]
    while let next = doomed.popLast() {
      guard exchanges.removeValue(forKey: next.name) != nil else { continue }
      topologyChanged()
      for binding in next.bindings.values { next.remove(binding) }
      for binding in next.incoming where detach(binding) { doomed.append(binding.source) }
    }
  }

  // MARK: queues

  // hot:
  public func queue(named name: UnsafeRawBufferPointer) -> Queue? { queueTable[name] }

  /// Where a message to the default exchange with that routing key goes.
  // hot:
  func destination(named name: UnsafeRawBufferPointer) -> Queue? {
    queueTable[name] ?? (replyQueues.isEmpty ? nil : replyQueues[name])
  }
  public var queues: [Queue] { queueTable.values }
  public func hasQueue(_ name: ByteString) -> Bool { queueTable[name] != nil }

  public func queue(_ name: ByteString) throws(ProtocolError) -> Queue {
    guard let queue = queueTable[name] else {
      throw ProtocolError(.notFound, "no queue '\(name)' in vhost '\(self.name)'")
    }
    return queue
  }

  /// A queue that `connection` may use.
  /// - Throws: 404, or 405 if it is another connection's own.
  public func queue(_ name: ByteString, usedBy connection: ConnectionID) throws(ProtocolError) -> Queue {
    let queue = try queue(name)
    guard queue.owner == nil || queue.owner == connection else { throw queue.isLocked }
    return queue
  }

  /// Makes a queue, or checks that the one there is was declared alike.
  /// - Throws: 405 for another connection's exclusive queue, 406 for other properties or wrong arguments.
  public func declare(_ definition: QueueDefinition) throws(ProtocolError) -> Queue {
    if let queue = queueTable[definition.name] {
      try queue.expectEqual(to: definition)
      return queue
    }
    let queue = Queue(definition, vhost: self)
    try queue.checkArguments()
    queueTable[definition.name] = queue
    topologyChanged()
    return queue
  }

  /// A queue for the replies to one channel, gone with its consumer
  /// (https://www.rabbitmq.com/docs/direct-reply-to).
  public func addReplyQueue(address: ByteString, owner: ConnectionID) -> Queue {
    let queue = Queue(QueueDefinition(name: address, owner: owner, autoDelete: true), vhost: self)
    replyQueues[address] = queue
    return queue
  }

  public func hasReplyQueue(_ address: ByteString) -> Bool { replyQueues[address] != nil }

  public func remove(_ queue: Queue) {
    if replyQueues[queue.name] === queue {
      replyQueues[queue.name] = nil
      topologyChanged()
      return queue.close()
    }
    guard queueTable[queue.name] === queue else { return }
    queueTable[queue.name] = nil
    topologyChanged()
    for binding in queue.incoming { remove(binding) }
    queue.close()
  }

  // MARK: bindings

  /// Binds; a binding that is there already is left as it is.
  public func bind(
    source: Exchange, to destination: Binding.Destination, key: ByteString, arguments: FieldTable
  ) throws(ProtocolError) {
    bindingSequence += 1
    let binding = Binding(
      source: source, destination: destination, key: key, arguments: arguments, sequence: bindingSequence)
    guard source.bindings[binding.identity] == nil else { return }
    try source.insert(binding)
    topologyChanged()
  }

  /// Takes a binding away; one that is not there is no error.
  public func unbind(
    source: Exchange, from destination: Binding.Destination, key: ByteString, arguments: FieldTable
  ) {
    let wanted = Binding(
      source: source, destination: destination, key: key, arguments: arguments, sequence: 0)
    guard let binding = source.bindings[wanted.identity] else { return }
    remove(binding)
  }

  private func remove(_ binding: Binding) {
    if detach(binding) { remove(binding.source) }
  }

  /// - Returns: whether the source has to go: an auto-delete exchange does with its last binding
  private func detach(_ binding: Binding) -> Bool {
    let source = binding.source
    source.remove(binding)
    topologyChanged()
    return source.autoDelete && source.bindings.isEmpty
  }
}
