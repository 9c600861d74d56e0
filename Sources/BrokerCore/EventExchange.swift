import AMQPWire

/// What happens in the broker, as messages without a body at the internal exchange `amq.rabbitmq.event` of the first
/// virtual host, under the keys and with the headers of RabbitMQ's plugin (rabbitmq_event_exchange); and what is logged,
/// at `amq.rabbitmq.log`. Nothing is made of it while nobody is bound. Knows no listener.
extension VirtualHost {
  static let eventExchange: ByteString = "amq.rabbitmq.event"
  static let logExchange: ByteString = "amq.rabbitmq.log"

  fileprivate func boundExchange(_ name: ByteString) -> Exchange? {
    guard let exchange = exchanges[name], !exchange.bindings.isEmpty else { return nil }
    return exchange
  }
}

extension Broker {
  /// - Parameters:
  ///   - key: such as "queue.created"
  ///   - facts: the headers; text, numbers and flags
  public func note(_ key: ByteString, _ facts: @autoclosure () -> FieldTable) {
    guard !isRecovering, let vhost = vhosts[settings.firstVirtualHost],
      let exchange = vhost.boundExchange(VirtualHost.eventExchange)
    else { return }
    let now = clock.wallMilliseconds
    var headers: FieldTable = ["timestamp_in_ms": .int64(Int64(clamping: now))]
    for (name, value) in facts().fields { headers.append(name, value) }
    var properties = BasicProperties(headers: headers)
    properties.deliveryMode = 2
    properties.timestamp = now / 1000
    vhost.tell(exchange, key, properties, UnsafeRawBufferPointer(start: nil, count: 0))
  }

  /// A line of the log, under its level.
  public func tellLog(_ level: String, _ text: String) {
    guard let vhost = vhosts[settings.firstVirtualHost],
      let exchange = vhost.boundExchange(VirtualHost.logExchange)
    else { return }
    var properties = BasicProperties(headers: ["node": .string(ByteString(settings.nodeName))])
    properties.contentType = "text/plain"
    properties.timestamp = clock.wallSeconds
    Array(text.utf8).withUnsafeBytes { vhost.tell(exchange, ByteString(level), properties, $0) }
  }
}

extension Identity {
  /// Who did it, as events say it.
  public var acting: FieldValue { .string(name.isEmpty ? "rmq-internal" : nameOctets) }
}

extension FieldTable {
  /// With who did it.
  func by(_ identity: Identity) -> FieldTable {
    var table = self
    table.append("user_who_performed_action", identity.acting)
    return table
  }
}

extension Exchange {
  var facts: FieldTable {
    [
      "name": .string(name), "vhost": .string(vhost.name), "type": .string(typeName),
      "durable": .boolean(durable), "auto_delete": .boolean(autoDelete), "internal": .boolean(isInternal),
      "arguments": .table(arguments),
    ]
  }
}

extension Queue {
  var facts: FieldTable {
    [
      "name": .string(name), "vhost": .string(vhost.name), "type": .string(type.rawValue),
      "durable": .boolean(durable), "auto_delete": .boolean(autoDelete), "exclusive": .boolean(owner != nil),
      "arguments": .table(arguments),
    ]
  }

  /// A consumer came or went.
  func note(_ consumer: Consumer, _ key: ByteString) {
    guard !name.hasPrefix("amq.rabbitmq.reply-to.") else { return }
    vhost.broker.note(
      key,
      ([
        "consumer_tag": .string(consumer.tag), "exclusive": .boolean(consumer.exclusive),
        "ack_required": .boolean(!consumer.noAck), "channel": .string(consumer.channelName.shown),
        "queue": .string(name), "vhost": .string(vhost.name),
        "prefetch_count": .int64(Int64(consumer.prefetch)), "arguments": .table(consumer.arguments),
      ] as FieldTable).by(consumer.identity))
  }
}

extension Binding {
  var facts: FieldTable {
    var kind: FieldValue = "exchange"
    if case .queue = destination { kind = "queue" }
    return [
      "source_name": .string(source.name), "source_kind": "exchange",
      "destination_name": .string(destination.name), "destination_kind": kind, "routing_key": .string(key),
      "arguments": .table(arguments), "vhost": .string(source.vhost.name),
    ]
  }
}

extension ChannelName {
  /// "127.0.0.1:50000 -> 127.0.0.1:5672 (1)", as RabbitMQ calls it.
  public var shown: ByteString { ByteString("\(connection) (\(number))") }
}
