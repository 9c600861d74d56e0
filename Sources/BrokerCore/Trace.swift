import AMQPWire

/// Copies of all that is published and delivered in a virtual host, at its internal exchange `amq.rabbitmq.trace`, while
/// somebody looks for a fault (https://www.rabbitmq.com/docs/firehose). Off it costs nothing. Knows no connection.

/// Where a message comes in or goes out: a connection's name and the number of its channel.
public struct ChannelName: Equatable, Sendable {
  public let connection: String
  public let number: UInt16

  public init(connection: String, number: UInt16) {
    self.connection = connection
    self.number = number
  }

  public static let none = ChannelName(connection: "", number: 0)
}

extension VirtualHost {
  static let traceExchange: ByteString = "amq.rabbitmq.trace"

  /// A message that was published, and the queues that get it: key `publish.EXCHANGE`.
  public func tracePublish(
    _ message: Message, to queues: [Queue], by identity: Identity, on channel: ChannelName
  ) {
    guard let exchange = whoTraces(message) else { return }
    var headers = traced(message)
    headers.append("vhost", .string(name))
    headers.append("connection", .string(ByteString(channel.connection)))
    headers.append("channel", .int32(Int32(channel.number)))
    headers.append("user", .string(identity.nameOctets))
    headers.append("routed_queues", .array(queues.map { .string($0.name) }))
    let key = Self.traceKey("publish.", ByteString(message.exchange))
    tell(exchange, key, BasicProperties(headers: headers), message.body)
  }

  /// A message that somebody gets: key `deliver.QUEUE`.
  func traceDelivery(_ message: Message, of queue: Queue, redelivered: Bool, to consumer: Consumer) {
    guard let exchange = whoTraces(message) else { return }
    let channel = consumer.channelName
    var headers = traced(message)
    headers.append("redelivered", .int32(redelivered ? 1 : 0))
    headers.append("vhost", .string(name))
    headers.append("connection", .string(ByteString(channel.connection)))
    headers.append("channel", .int32(Int32(channel.number)))
    headers.append("user", .string(consumer.identity.nameOctets))
    tell(
      exchange, Self.traceKey("deliver.", queue.name), BasicProperties(headers: headers), message.body)
  }

  /// What is traced is not traced again.
  private func whoTraces(_ message: Message) -> Exchange? {
    guard let exchange = exchanges[Self.traceExchange], !exchange.bindings.isEmpty,
      !message.exchange.elementsEqual(Self.traceExchange.bytes)
    else { return nil }
    return exchange
  }

  /// A routing key has 255 octets at most.
  private static func traceKey(_ what: ByteString, _ name: ByteString) -> ByteString {
    ByteString(Array((what.bytes + name.bytes).prefix(255)))
  }

  private func traced(_ message: Message) -> FieldTable {
    let keys = [ByteString(message.routingKey)] + (message.header.extraKeys?.keys ?? [])
    return [
      "exchange_name": .string(ByteString(message.exchange)),
      "routing_keys": .array(keys.map { .string($0) }),
      "properties": .table(((try? BasicProperties(message.properties)) ?? BasicProperties()).traced),
      "node": .string(ByteString(broker.settings.nodeName)),
    ]
  }

  /// Publishes to an exchange of the broker's own, when the work at hand is done. More than can wait is left out.
  func tell(
    _ exchange: Exchange, _ key: ByteString, _ properties: BasicProperties, _ body: UnsafeRawBufferPointer
  ) {
    guard !broker.later.isFull,
      let message = try? Message.make(
        exchange: exchange.name, routingKey: key, properties: properties, bodySize: body.count),
      message.appendBody(body)
    else { return }
    broker.later.append(
      LaterMessage(
        vhost: self, goal: .exchange(exchange.name, filtered: true), message: message, identity: .none,
        hops: broker.later.hops))
  }
}

extension BasicProperties {
  /// Those that there are, by their names and in RabbitMQ's types.
  fileprivate var traced: FieldTable {
    var table = FieldTable()
    func put(_ name: ByteString, _ text: ByteString?) { if let text { table.append(name, .string(text)) } }
    func put(_ name: ByteString, _ number: UInt64?) {
      guard let number else { return }
      table.append(name, Int32(exactly: number).map { .int32($0) } ?? .int64(Int64(clamping: number)))
    }
    put("content_type", contentType)
    put("content_encoding", contentEncoding)
    if let headers { table.append("headers", .table(headers)) }
    put("delivery_mode", deliveryMode.map { UInt64($0) })
    put("priority", priority.map { UInt64($0) })
    put("correlation_id", correlationID)
    put("reply_to", replyTo)
    put("expiration", expiration)
    put("message_id", messageID)
    put("timestamp", timestamp)
    put("type", type)
    put("user_id", userID)
    put("app_id", appID)
    put("cluster_id", clusterID)
    return table
  }
}
