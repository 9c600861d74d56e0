/// The methods of class `basic` (60): publishing, consuming and settling messages (1.8; RabbitMQ adds nack).
/// Knows their fields only; what they mean is said in BrokerServer.

/// `basic.qos`
package struct BasicQos: Method {
  @inlinable package static var id: MethodID { MethodID(60, 10) }
  package var prefetchSize: UInt32 = 0
  package var prefetchCount: UInt16 = 0
  package var global = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.long(&prefetchSize)
    try fields.short(&prefetchCount)
    try fields.bit(&global)
  }
}

/// `basic.qos-ok`
package struct BasicQosOk: Method {
  @inlinable package static var id: MethodID { MethodID(60, 11) }
  package init() {}
}

/// `basic.consume`
package struct BasicConsume: Method {
  @inlinable package static var id: MethodID { MethodID(60, 20) }
  package var ticket: UInt16 = 0
  package var queue: ByteString = ""
  package var consumerTag: ByteString = ""
  package var noLocal = false
  package var noAck = false
  package var exclusive = false
  package var noWait = false
  package var arguments: FieldTable = [:]

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&queue)
    try fields.shortString(&consumerTag)
    try fields.bit(&noLocal)
    try fields.bit(&noAck)
    try fields.bit(&exclusive)
    try fields.bit(&noWait)
    try fields.table(&arguments)
  }
}

/// `basic.consume-ok`
package struct BasicConsumeOk: Method {
  @inlinable package static var id: MethodID { MethodID(60, 21) }
  package var consumerTag: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&consumerTag)
  }
}

/// `basic.cancel`
package struct BasicCancel: Method {
  @inlinable package static var id: MethodID { MethodID(60, 30) }
  package var consumerTag: ByteString = ""
  package var noWait = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&consumerTag)
    try fields.bit(&noWait)
  }
}

/// `basic.cancel-ok`
package struct BasicCancelOk: Method {
  @inlinable package static var id: MethodID { MethodID(60, 31) }
  package var consumerTag: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&consumerTag)
  }
}

/// `basic.publish`, followed by content.
package struct BasicPublish: Method {
  @inlinable package static var id: MethodID { MethodID(60, 40) }
  package static var hasContent: Bool { true }
  package var ticket: UInt16 = 0
  package var exchange: ByteString = ""
  package var routingKey: ByteString = ""
  package var mandatory = false
  package var immediate = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&exchange)
    try fields.shortString(&routingKey)
    try fields.bit(&mandatory)
    try fields.bit(&immediate)
  }
}

/// `basic.return`, followed by content.
package struct BasicReturn: Method {
  @inlinable package static var id: MethodID { MethodID(60, 50) }
  package static var hasContent: Bool { true }
  package var replyCode: UInt16 = 0
  package var replyText: ByteString = ""
  package var exchange: ByteString = ""
  package var routingKey: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&replyCode)
    try fields.shortString(&replyText)
    try fields.shortString(&exchange)
    try fields.shortString(&routingKey)
  }
}

/// `basic.deliver`, followed by content.
package struct BasicDeliver: Method {
  @inlinable package static var id: MethodID { MethodID(60, 60) }
  package static var hasContent: Bool { true }
  package var consumerTag: ByteString = ""
  package var deliveryTag: UInt64 = 0
  package var redelivered = false
  package var exchange: ByteString = ""
  package var routingKey: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&consumerTag)
    try fields.longLong(&deliveryTag)
    try fields.bit(&redelivered)
    try fields.shortString(&exchange)
    try fields.shortString(&routingKey)
  }
}

/// `basic.get`
package struct BasicGet: Method {
  @inlinable package static var id: MethodID { MethodID(60, 70) }
  package var ticket: UInt16 = 0
  package var queue: ByteString = ""
  package var noAck = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&queue)
    try fields.bit(&noAck)
  }
}

/// `basic.get-ok`, followed by content.
package struct BasicGetOk: Method {
  @inlinable package static var id: MethodID { MethodID(60, 71) }
  package static var hasContent: Bool { true }
  package var deliveryTag: UInt64 = 0
  package var redelivered = false
  package var exchange: ByteString = ""
  package var routingKey: ByteString = ""
  package var messageCount: UInt32 = 0

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longLong(&deliveryTag)
    try fields.bit(&redelivered)
    try fields.shortString(&exchange)
    try fields.shortString(&routingKey)
    try fields.long(&messageCount)
  }
}

/// `basic.get-empty`
package struct BasicGetEmpty: Method {
  @inlinable package static var id: MethodID { MethodID(60, 72) }
  package var clusterID: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&clusterID)
  }
}

/// `basic.ack`
package struct BasicAck: Method {
  @inlinable package static var id: MethodID { MethodID(60, 80) }
  package var deliveryTag: UInt64 = 0
  package var multiple = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longLong(&deliveryTag)
    try fields.bit(&multiple)
  }
}

/// `basic.reject`
package struct BasicReject: Method {
  @inlinable package static var id: MethodID { MethodID(60, 90) }
  package var deliveryTag: UInt64 = 0
  package var requeue = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longLong(&deliveryTag)
    try fields.bit(&requeue)
  }
}

/// `basic.recover-async`
package struct BasicRecoverAsync: Method {
  @inlinable package static var id: MethodID { MethodID(60, 100) }
  package var requeue = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.bit(&requeue)
  }
}

/// `basic.recover`
package struct BasicRecover: Method {
  @inlinable package static var id: MethodID { MethodID(60, 110) }
  package var requeue = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.bit(&requeue)
  }
}

/// `basic.recover-ok`
package struct BasicRecoverOk: Method {
  @inlinable package static var id: MethodID { MethodID(60, 111) }
  package init() {}
}

/// `basic.nack`
package struct BasicNack: Method {
  @inlinable package static var id: MethodID { MethodID(60, 120) }
  package var deliveryTag: UInt64 = 0
  package var multiple = false
  package var requeue = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longLong(&deliveryTag)
    try fields.bit(&multiple)
    try fields.bit(&requeue)
  }
}
