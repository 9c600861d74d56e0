import AMQPWire
import BrokerCore

/// What the class `basic` means, but for publishing: consuming, getting and settling. Knows no frame.
extension ClientChannel {
  // MARK: consuming

  func qos(_ method: BasicQos) throws(ProtocolError) {
    guard method.prefetchSize == 0 else {
      throw ProtocolError(.notImplemented, "prefetch_size!=0 (\(method.prefetchSize))")
    }
    // Without global it is the limit of each consumer made from now on (RabbitMQ's meaning, not 1.8.3.1's),
    // and any limit of the channel ends.
    if method.global {
      deliveries.setLimit(Int(method.prefetchCount))
    } else {
      deliveries.setLimit(0)
      prefetch = Int(method.prefetchCount)
    }
    send(BasicQosOk())
    drainQueues()
  }

  func consume(_ method: BasicConsume) throws(ProtocolError) {
    guard consumers[method.consumerTag] == nil else {
      throw ProtocolError(.notAllowed, "attempt to reuse consumer tag '\(method.consumerTag)'")
    }
    let isReply = method.queue == Self.replyTo
    let queue = isReply ? try makeReplyQueue(method) : try queueToRead(method.queue)
    if !isReply { try queue.checkConsumeArguments(method.arguments) }
    guard queue.type != .quorum || deliveries.limit == 0 else {
      throw ProtocolError(.notImplemented, "\(queue.described) does not support global qos")
    }
    let tag = method.consumerTag.isEmpty ? ServerNames.consumerTag() : method.consumerTag
    let outlet = Subscription(tag: tag, channel: self)
    let consumer = Consumer(
      tag: tag, queue: queue, noAck: method.noAck, exclusive: method.exclusive,
      priority: isReply ? 0 : Int(method.arguments["x-priority"]?.integer ?? 0), prefetch: prefetch,
      arguments: method.arguments, identity: connection.identity, deliveries: deliveries, outlet: outlet)
    try queue.subscribe(consumer)
    consumers[tag] = consumer
    if !method.noWait { send(BasicConsumeOk { $0.consumerTag = tag }) }
    queue.drain()
  }

  /// The name under which a client consumes its replies and to which it wants them sent.
  static let replyTo: ByteString = "amq.rabbitmq.reply-to"

  private func makeReplyQueue(_ method: BasicConsume) throws(ProtocolError) -> Queue {
    guard method.noAck else {
      throw ProtocolError(.preconditionFailed, "reply consumer cannot acknowledge")
    }
    guard replyQueue == nil else {
      throw ProtocolError(.preconditionFailed, "reply consumer already set")
    }
    let queue = vhost.addReplyQueue(address: ServerNames.replyAddress(), owner: connection.id)
    replyQueue = queue
    return queue
  }

  /// A tag that nobody has is answered like any other (1.8.3.5).
  func cancel(_ method: BasicCancel) throws(ProtocolError) {
    unsubscribe(method.consumerTag)
    if !method.noWait { send(BasicCancelOk { $0.consumerTag = method.consumerTag }) }
  }

  func cancelOk(_ method: BasicCancelOk) { unsubscribe(method.consumerTag) }

  private func unsubscribe(_ tag: ByteString) {
    guard let consumer = consumers.removeValue(forKey: tag) else { return }
    if consumer.queue === replyQueue { replyQueue = nil }
    consumer.queue.unsubscribe(consumer)
  }

  func consumerCancelled(_ tag: ByteString) {
    consumers[tag] = nil
    guard connection.handshake.clientCan("consumer_cancel_notify") else { return }
    send(
      BasicCancel {
        $0.consumerTag = tag
        $0.noWait = true
      })
  }

  // MARK: getting

  func get(_ method: BasicGet) throws(ProtocolError) {
    let queue = try queueToRead(method.queue)
    try queue.checkRemoval(by: "basic.get")
    guard !queue.refusesGetters else {
      throw ProtocolError(
        .resourceLocked,
        "cannot obtain access to locked \(queue.described). basic.get operations are not supported by quorum "
          + "queues with single active consumer")
    }
    let getter = Consumer(
      tag: "", queue: queue, noAck: method.noAck, identity: connection.identity, deliveries: deliveries,
      outlet: Subscription(tag: "", channel: self))
    switch queue.get(getter) {
    case .empty: send(BasicGetEmpty())
    case .later(let pending): throw connection.tryAgain(after: pending)
    case .message(let message, let redelivered, let tag):
      sendGetOk(message, redelivered: redelivered, tag: tag, left: queue.readyCount)
    }
  }

  private func sendGetOk(_ message: Message, redelivered: Bool, tag: UInt64, left: Int) {
    let envelope = message.envelope
    outbox.countReply(of: message)
    outbox.sendContent(
      BasicGetOk.id, channel: number, message: message, frameMaximum: frameMaximum,
      argumentsCount: 13 + envelope.count
    ) { cursor in
      cursor.put(tag)
      cursor.put(redelivered ? 1 as UInt8 : 0)
      cursor.put(envelope)
      cursor.put(UInt32(truncatingIfNeeded: left))
    }
  }

  // MARK: settling

  /// `basic.ack`: delivery tag, multiple.
  // hot:
  func ack(_ arguments: UnsafeRawBufferPointer) throws(ProtocolError) {
    guard arguments.count == 9 else {
      throw ProtocolError(.frameError, "cannot decode BasicAck: \(arguments.count) octets, expected 9")
    }
    let tag = UInt64(bigEndian: arguments.loadUnaligned(as: UInt64.self))
    try settle(tag, multiple: arguments[8] & 1 != 0, as: .acknowledged)
  }

  func nack(_ method: BasicNack) throws(ProtocolError) {
    try settle(method.deliveryTag, multiple: method.multiple, as: .rejected(requeue: method.requeue))
  }

  func reject(_ method: BasicReject) throws(ProtocolError) {
    try settle(method.deliveryTag, multiple: false, as: .rejected(requeue: method.requeue))
  }

  func recover(_ method: BasicRecover) throws(ProtocolError) {
    try recover(requeue: method.requeue) { send(BasicRecoverOk()) }
  }

  func recover(_ method: BasicRecoverAsync) throws(ProtocolError) {
    try recover(requeue: method.requeue) {}
  }

  private func recover(requeue: Bool, _ answer: () -> Void) throws(ProtocolError) {
    guard requeue else { throw ProtocolError(.notImplemented, "requeue=false") }
    settle(thenSend: answer) { each in deliveries.takeAll { each($0, .rejected(requeue: true)) } }
  }

  // hot:
  private func settle(_ tag: UInt64, multiple: Bool, as settlement: Settlement) throws(ProtocolError) {
    var found = true
    if transaction != nil {
      found = deliveries.take(tag, multiple: multiple) { transaction?.settlements.append(($0, settlement)) }
    } else if multiple {
      settle { each in found = deliveries.take(tag, multiple: true) { each($0, settlement) } }
    } else {
      found = deliveries.take(tag, multiple: false) { delivery in
        delivery.settle(settlement)
        if case .acknowledged = settlement, deliveries.limit == 0, let consumer = delivery.consumer {
          consumer.queue.drain(to: consumer)
        } else {
          drain(delivery.queue)
        }
      }
    }
    guard found else { throw ProtocolError(.preconditionFailed, "unknown delivery tag \(tag)") }
  }

  func settleAll(_ settlement: Settlement) {
    settle { each in deliveries.takeAll { each($0, settlement) } }
  }

  /// Settles many; only then, and after the answer, their queues deliver again: what returns is in order first.
  func settle(thenSend answer: () -> Void = {}, _ all: ((Delivery, Settlement) -> Void) -> Void) {
    var touched: [Queue] = []
    var known: Set<ObjectIdentifier> = []
    all { delivery, settlement in
      delivery.settle(settlement)
      guard let queue = delivery.queue, touched.last !== queue else { return }
      if known.insert(ObjectIdentifier(queue)).inserted { touched.append(queue) }
    }
    answer()
    for queue in touched { drain(queue) }
  }

  /// With a limit that all consumers of the channel share, room for one is room for each, and they come in turn.
  // hot:
  private func drain(_ queue: Queue?) {
    if deliveries.limit > 0 { drainQueues() }
    queue?.drain()
  }
}

/// A consumer's way out: its deliveries are written into the connection's outbox.
private final class Subscription: ConsumerOutlet {
  private unowned let channel: ClientChannel
  private let number: UInt16
  private let frameMaximum: Int
  private let outbox: Outbox
  private let tag: [UInt8]

  init(tag: ByteString, channel: ClientChannel) {
    self.channel = channel
    number = channel.number
    frameMaximum = channel.frameMaximum
    outbox = channel.outbox
    self.tag = [UInt8(truncatingIfNeeded: tag.count)] + tag.bytes
  }

  // hot:
  var isOpen: Bool { outbox.isOpen }

  // hot:
  func deliver(_ message: Message, tag deliveryTag: UInt64, redelivered: Bool) {
    let envelope = message.envelope
    outbox.sendContent(
      BasicDeliver.id, channel: number, message: message, frameMaximum: frameMaximum,
      argumentsCount: tag.count + 9 + envelope.count
    ) { cursor in
      tag.withUnsafeBytes { cursor.put($0) }
      cursor.put(deliveryTag)
      cursor.put(redelivered ? 1 as UInt8 : 0)
      cursor.put(envelope)
    }
  }

  func consumerCancelled(_ tag: ByteString) { channel.consumerCancelled(tag) }

  var channelName: ChannelName { channel.name }
}
