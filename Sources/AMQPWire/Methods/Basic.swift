/// The methods of class `basic` (60): publishing, consuming and settling messages (1.8; RabbitMQ adds nack).
/// Knows their fields only; what they mean is said in BrokerServer.

/// `basic.qos`
public struct BasicQos: Method {
  @inlinable public static var id: MethodID { MethodID(60, 10) }
  public var prefetchSize: UInt32 = 0
  public var prefetchCount: UInt16 = 0
  public var global = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.long(&prefetchSize)
    try fields.short(&prefetchCount)
    try fields.bit(&global)
  }
}

/// `basic.qos-ok`
public struct BasicQosOk: Method {
  @inlinable public static var id: MethodID { MethodID(60, 11) }
  public init() {}
}

/// `basic.consume`
public struct BasicConsume: Method {
  @inlinable public static var id: MethodID { MethodID(60, 20) }
  public var ticket: UInt16 = 0
  public var queue: ByteString = ""
  public var consumerTag: ByteString = ""
  public var noLocal = false
  public var noAck = false
  public var exclusive = false
  public var noWait = false
  public var arguments: FieldTable = [:]

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
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
public struct BasicConsumeOk: Method {
  @inlinable public static var id: MethodID { MethodID(60, 21) }
  public var consumerTag: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&consumerTag)
  }
}

/// `basic.cancel`
public struct BasicCancel: Method {
  @inlinable public static var id: MethodID { MethodID(60, 30) }
  public var consumerTag: ByteString = ""
  public var noWait = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&consumerTag)
    try fields.bit(&noWait)
  }
}

/// `basic.cancel-ok`
public struct BasicCancelOk: Method {
  @inlinable public static var id: MethodID { MethodID(60, 31) }
  public var consumerTag: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&consumerTag)
  }
}

/// `basic.publish`, followed by content.
public struct BasicPublish: Method {
  @inlinable public static var id: MethodID { MethodID(60, 40) }
  public static var hasContent: Bool { true }
  public var ticket: UInt16 = 0
  public var exchange: ByteString = ""
  public var routingKey: ByteString = ""
  public var mandatory = false
  public var immediate = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&exchange)
    try fields.shortString(&routingKey)
    try fields.bit(&mandatory)
    try fields.bit(&immediate)
  }
}

/// `basic.return`, followed by content.
public struct BasicReturn: Method {
  @inlinable public static var id: MethodID { MethodID(60, 50) }
  public static var hasContent: Bool { true }
  public var replyCode: UInt16 = 0
  public var replyText: ByteString = ""
  public var exchange: ByteString = ""
  public var routingKey: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&replyCode)
    try fields.shortString(&replyText)
    try fields.shortString(&exchange)
    try fields.shortString(&routingKey)
  }
}

/// `basic.deliver`, followed by content.
public struct BasicDeliver: Method {
  @inlinable public static var id: MethodID { MethodID(60, 60) }
  public static var hasContent: Bool { true }
  public var consumerTag: ByteString = ""
  public var deliveryTag: UInt64 = 0
  public var redelivered = false
  public var exchange: ByteString = ""
  public var routingKey: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&consumerTag)
    try fields.longLong(&deliveryTag)
    try fields.bit(&redelivered)
    try fields.shortString(&exchange)
    try fields.shortString(&routingKey)
  }
}

/// `basic.get`
public struct BasicGet: Method {
  @inlinable public static var id: MethodID { MethodID(60, 70) }
  public var ticket: UInt16 = 0
  public var queue: ByteString = ""
  public var noAck = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&queue)
    try fields.bit(&noAck)
  }
}

/// `basic.get-ok`, followed by content.
public struct BasicGetOk: Method {
  @inlinable public static var id: MethodID { MethodID(60, 71) }
  public static var hasContent: Bool { true }
  public var deliveryTag: UInt64 = 0
  public var redelivered = false
  public var exchange: ByteString = ""
  public var routingKey: ByteString = ""
  public var messageCount: UInt32 = 0

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longLong(&deliveryTag)
    try fields.bit(&redelivered)
    try fields.shortString(&exchange)
    try fields.shortString(&routingKey)
    try fields.long(&messageCount)
  }
}

/// `basic.get-empty`
public struct BasicGetEmpty: Method {
  @inlinable public static var id: MethodID { MethodID(60, 72) }
  public var clusterID: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&clusterID)
  }
}

/// `basic.ack`
public struct BasicAck: Method {
  @inlinable public static var id: MethodID { MethodID(60, 80) }
  public var deliveryTag: UInt64 = 0
  public var multiple = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longLong(&deliveryTag)
    try fields.bit(&multiple)
  }
}

/// `basic.reject`
public struct BasicReject: Method {
  @inlinable public static var id: MethodID { MethodID(60, 90) }
  public var deliveryTag: UInt64 = 0
  public var requeue = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longLong(&deliveryTag)
    try fields.bit(&requeue)
  }
}

/// `basic.recover-async`
public struct BasicRecoverAsync: Method {
  @inlinable public static var id: MethodID { MethodID(60, 100) }
  public var requeue = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.bit(&requeue)
  }
}

/// `basic.recover`
public struct BasicRecover: Method {
  @inlinable public static var id: MethodID { MethodID(60, 110) }
  public var requeue = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.bit(&requeue)
  }
}

/// `basic.recover-ok`
public struct BasicRecoverOk: Method {
  @inlinable public static var id: MethodID { MethodID(60, 111) }
  public init() {}
}

/// `basic.nack`
public struct BasicNack: Method {
  @inlinable public static var id: MethodID { MethodID(60, 120) }
  public var deliveryTag: UInt64 = 0
  public var multiple = false
  public var requeue = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longLong(&deliveryTag)
    try fields.bit(&multiple)
    try fields.bit(&requeue)
  }
}
