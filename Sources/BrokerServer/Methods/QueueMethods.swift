import AMQPWire
import BrokerCore

/// What the class `queue` means. Knows no frame.
extension ClientChannel {
  func declare(_ method: QueueDeclare) throws(ProtocolError) {
    let asked = method.queue.withoutLineEnds
    let queue: Queue
    if asked.hasPrefix(Self.replyTo) { return try declareReplyAddress(asked, method) }
    if method.passive {
      try checkAny(queue: asked)
      queue = try vhost.queue(asked, usedBy: connection.id)
      queue.wasUsed()
    } else {
      guard !asked.hasPrefix("amq.") else {
        throw ProtocolError(.accessRefused, "queue name '\(asked)' contains reserved prefix 'amq.*'")
      }
      let name = asked.isEmpty ? generatedName ?? ServerNames.queue() : asked
      if asked.isEmpty { generatedName = name }
      let isNew = !vhost.hasQueue(name)
      if asked.isEmpty, QueueType(method.arguments) == .quorum {
        throw ProtocolError(
          .preconditionFailed, "Cannot declare a server-named queue for type rabbit_quorum_queue")
      }
      try check(.configure, queue: name)
      if isNew { try vhost.checkQueueLimit(for: name) }
      if isNew, let deadLetters = method.arguments["x-dead-letter-exchange"]?.string {
        try check(.read, queue: name)
        try check(.write, exchange: deadLetters)
      }
      generatedName = nil
      queue = try vhost.declare(
        QueueDefinition(
          name: name, durable: method.durable,
          owner: method.exclusive ? connection.id : nil, autoDelete: method.autoDelete,
          arguments: method.arguments), by: connection.identity)
      if isNew, queue.owner != nil { connection.owns(queue) }
    }
    lastQueue = queue.name
    guard !method.noWait else { return }
    sendWhenDefined(
      QueueDeclareOk {
        $0.queue = queue.name
        $0.messageCount = UInt32(truncatingIfNeeded: queue.readyCount)
        // RabbitMQ does not say how many consume a stream.
        $0.consumerCount =
          queue.type == .stream ? 0 : UInt32(truncatingIfNeeded: queue.consumerCount)
      })
  }

  /// Whoever is to reply asks so whether somebody still waits.
  private func declareReplyAddress(_ address: ByteString, _ method: QueueDeclare) throws(ProtocolError) {
    guard address == Self.replyTo || vhost.hasReplyQueue(address) else {
      throw ProtocolError(.notFound, "no queue '\(address)' in vhost '\(vhost.name)'")
    }
    lastQueue = address
    guard !method.noWait else { return }
    send(
      QueueDeclareOk {
        $0.queue = address
        $0.consumerCount = 1
      })
  }

  /// A missing queue is no error: it is as the client wants it.
  func delete(_ method: QueueDelete) throws(ProtocolError) {
    let name = try namedOrLast(method.queue.withoutLineEnds)
    try check(.configure, queue: name)
    var count = 0
    var doomed: Queue?
    if let queue = name.bytes.withUnsafeBytes({ vhost.queue(named: $0) }) {
      guard queue.owner == nil || queue.owner == connection.id else { throw queue.isLocked }
      if queue.type == .quorum, method.ifUnused || method.ifEmpty {
        throw ProtocolError(
          .notImplemented,
          "cannot delete \(queue.described). queue.delete operations with "
            + "\(method.ifUnused ? "if-unused" : "if-empty") flag set are not supported by quorum queues")
      }
      // A stream goes, whatever is in it and whoever reads it, and nobody is told how much that was: so RabbitMQ.
      if queue.type != .stream {
        if method.ifEmpty, queue.readyCount > 0 {
          throw ProtocolError(.preconditionFailed, "\(queue.described) not empty")
        }
        if method.ifUnused, queue.consumerCount > 0 {
          throw ProtocolError(.preconditionFailed, "\(queue.described) in use")
        }
        count = queue.readyCount
      }
      doomed = queue
    }
    let consumers = doomed.map { vhost.takeOut($0) } ?? []
    // The answer first: a consumer on this channel hears of the end of its queue after it.
    whenDefined { channel in
      if !method.noWait {
        channel.send(QueueDeleteOk { $0.messageCount = UInt32(truncatingIfNeeded: count) })
      }
      for consumer in consumers { consumer.cancelledByQueue() }
    }
  }

  func purge(_ method: QueuePurge) throws(ProtocolError) {
    let queue = try queueToRead(method.queue)
    try queue.checkRemoval(by: "queue.purge")
    let count = queue.purge()
    if !method.noWait { send(QueuePurgeOk { $0.messageCount = UInt32(truncatingIfNeeded: count) }) }
  }

  func bind(_ method: QueueBind) throws(ProtocolError) {
    let (source, name, key) = try bindingEnds(method.queue, method.exchange, method.routingKey)
    try vhost.bind(
      source: try vhost.exchange(source), to: .queue(try vhost.queue(name, usedBy: connection.id)), key: key,
      arguments: method.arguments)
    if !method.noWait { sendWhenDefined(QueueBindOk()) }
  }

  /// A binding that is not there, for want of a queue or an exchange too, is as the client wants it; even that of
  /// another connection's exclusive queue.
  func unbind(_ method: QueueUnbind) throws(ProtocolError) {
    let (source, name, key) = try bindingEnds(method.queue, method.exchange, method.routingKey)
    if let source = vhost.exchanges[source], let queue = try? vhost.queue(name),
      let binding = vhost.binding(
        source: source, to: .queue(queue), key: key, arguments: method.arguments)
    {
      guard queue.owner == nil || queue.owner == connection.id else { throw queue.isLocked }
      vhost.remove(binding)
    }
    sendWhenDefined(QueueUnbindOk())
  }

  private func bindingEnds(
    _ queue: ByteString, _ exchange: ByteString, _ key: ByteString
  ) throws(ProtocolError) -> (source: ByteString, queue: ByteString, key: ByteString) {
    let name = try namedOrLast(queue.withoutLineEnds)
    guard !name.hasPrefix("amq.rabbitmq.reply-to.") else {
      throw ProtocolError(
        .accessRefused, "cannot bind or unbind to a volatile (direct reply-to) queue")
    }
    let source = exchange.withoutLineEnds
    // With both names empty the queue's name is the key (1.7.2.3).
    let key = queue.isEmpty && key.isEmpty ? name : key
    try check(.write, queue: name)
    guard !source.isEmpty else { throw Self.notOnDefault }
    try checkSource(source, key)
    return (source, name, key)
  }

  /// Of a binding: an exchange that is read from, and with which key.
  func checkSource(_ name: ByteString, _ key: ByteString) throws(ProtocolError) {
    try check(.read, exchange: name)
    if let exchange = vhost.exchanges[name] { try check(.read, topic: key, of: exchange) }
  }

  static let notOnDefault = ProtocolError(
    .accessRefused, "operation not permitted on the default exchange")

  /// The queue of that name that this connection may read; with no name the one it declared last.
  func queueToRead(_ name: ByteString) throws(ProtocolError) -> Queue {
    let name = try namedOrLast(name)
    try check(.read, queue: name)
    return try vhost.queue(name, usedBy: connection.id)
  }

  private func namedOrLast(_ name: ByteString) throws(ProtocolError) -> ByteString {
    guard name.isEmpty else { return name }
    guard !lastQueue.isEmpty else { throw ProtocolError(.notFound, "no previously declared queue") }
    return lastQueue
  }
}

extension ByteString {
  /// RabbitMQ takes line ends out of names.
  var withoutLineEnds: ByteString {
    guard bytes.contains(where: { $0 == 10 || $0 == 13 }) else { return self }
    return ByteString(bytes.filter { $0 != 10 && $0 != 13 })
  }
}

/// Names that the server makes for what a client did not name.
enum ServerNames {
  static func queue() -> ByteString { ByteString("amq.gen-" + random()) }
  static func replyAddress() -> ByteString { ByteString("amq.rabbitmq.reply-to.g1." + random()) }
  static func consumerTag() -> ByteString { ByteString("amq.ctag-" + random()) }

  /// 22 characters of 64: 132 random bits, so that nobody guesses another client's queue.
  private static func random() -> String {
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    var generator = SystemRandomNumberGenerator()
    return String((0..<22).map { _ in letters[Int.random(in: 0..<64, using: &generator)] })
  }
}
