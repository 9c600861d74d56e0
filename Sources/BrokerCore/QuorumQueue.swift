import AMQPWire

/// What a quorum queue does otherwise than a classic one (https://www.rabbitmq.com/docs/quorum-queues), as RabbitMQ 3.13
/// has it: it counts how often a message came back, gives up on one that comes back too often, and keeps all. Knows no
/// consumer, and no replica: it is kept in this broker's store alone.
extension Queue {
  /// It would be a second one who takes.
  public var refusesGetters: Bool { type == .quorum && rules.singleActive }

  /// A delivery failed. With a limit a message comes first again, so that it is soon over with; without one it goes to
  /// the end, unless its consumer is gone.
  func giveBack(_ queued: QueuedMessage, toFront: Bool = false) {
    var back = queued
    back.redelivered = true
    if back.deliveryCount < .max { back.deliveryCount += 1 }
    if let limit = rules.deliveryLimit, Int64(back.deliveryCount) > limit { return die(back, .deliveryLimit) }
    let level = levels[Int(back.priority)]
    if toFront || rules.deliveryLimit != nil { level.putFirst(back) } else { level.moveToEnd(back) }
    if back.expires != 0 || rules.dropsWhenFull { wasPutBack(back) }
  }

}

extension QueueDefinition {
  /// - Throws: 406 for what no quorum queue can be, in RabbitMQ's words and order
  func checkQuorum(_ described: String) throws(ProtocolError) {
    guard QueueType(arguments) == .quorum else { return }
    let problem: String? =
      if autoDelete { "auto-delete" } else if owner != nil {
        "exclusive-owner"
      } else if !durable { "non-durable" } else { nil }
    if let problem {
      throw ProtocolError(.preconditionFailed, "invalid property '\(problem)' for \(described)")
    }
  }
}

extension QueuedMessage {
  /// The message with the header that says how often it came back.
  var counted: Message {
    guard var properties = try? BasicProperties(message.properties) else { return message }
    var headers = properties.headers ?? FieldTable()
    headers["x-delivery-count"] = .int64(Int64(deliveryCount))
    properties.headers = headers
    return (try? message.withProperties(properties)) ?? message
  }
}
