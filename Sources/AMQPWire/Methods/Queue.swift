/// The methods of class `queue` (50): declaring, binding, purging and deleting queues (1.7).
/// Knows their fields only; what they mean is said in BrokerServer.

/// `queue.declare`
public struct QueueDeclare: Method {
  @inlinable public static var id: MethodID { MethodID(50, 10) }
  public var ticket: UInt16 = 0
  public var queue: ByteString = ""
  public var passive = false
  public var durable = false
  public var exclusive = false
  public var autoDelete = false
  public var noWait = false
  public var arguments: FieldTable = [:]

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&queue)
    try fields.bit(&passive)
    try fields.bit(&durable)
    try fields.bit(&exclusive)
    try fields.bit(&autoDelete)
    try fields.bit(&noWait)
    try fields.table(&arguments)
  }
}

/// `queue.declare-ok`
public struct QueueDeclareOk: Method {
  @inlinable public static var id: MethodID { MethodID(50, 11) }
  public var queue: ByteString = ""
  public var messageCount: UInt32 = 0
  public var consumerCount: UInt32 = 0

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&queue)
    try fields.long(&messageCount)
    try fields.long(&consumerCount)
  }
}

/// `queue.bind`
public struct QueueBind: Method {
  @inlinable public static var id: MethodID { MethodID(50, 20) }
  public var ticket: UInt16 = 0
  public var queue: ByteString = ""
  public var exchange: ByteString = ""
  public var routingKey: ByteString = ""
  public var noWait = false
  public var arguments: FieldTable = [:]

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&queue)
    try fields.shortString(&exchange)
    try fields.shortString(&routingKey)
    try fields.bit(&noWait)
    try fields.table(&arguments)
  }
}

/// `queue.bind-ok`
public struct QueueBindOk: Method {
  @inlinable public static var id: MethodID { MethodID(50, 21) }
  public init() {}
}

/// `queue.purge`
public struct QueuePurge: Method {
  @inlinable public static var id: MethodID { MethodID(50, 30) }
  public var ticket: UInt16 = 0
  public var queue: ByteString = ""
  public var noWait = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&queue)
    try fields.bit(&noWait)
  }
}

/// `queue.purge-ok`
public struct QueuePurgeOk: Method {
  @inlinable public static var id: MethodID { MethodID(50, 31) }
  public var messageCount: UInt32 = 0

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.long(&messageCount)
  }
}

/// `queue.delete`
public struct QueueDelete: Method {
  @inlinable public static var id: MethodID { MethodID(50, 40) }
  public var ticket: UInt16 = 0
  public var queue: ByteString = ""
  public var ifUnused = false
  public var ifEmpty = false
  public var noWait = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&queue)
    try fields.bit(&ifUnused)
    try fields.bit(&ifEmpty)
    try fields.bit(&noWait)
  }
}

/// `queue.delete-ok`
public struct QueueDeleteOk: Method {
  @inlinable public static var id: MethodID { MethodID(50, 41) }
  public var messageCount: UInt32 = 0

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.long(&messageCount)
  }
}

/// `queue.unbind`
public struct QueueUnbind: Method {
  @inlinable public static var id: MethodID { MethodID(50, 50) }
  public var ticket: UInt16 = 0
  public var queue: ByteString = ""
  public var exchange: ByteString = ""
  public var routingKey: ByteString = ""
  public var arguments: FieldTable = [:]

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&queue)
    try fields.shortString(&exchange)
    try fields.shortString(&routingKey)
    try fields.table(&arguments)
  }
}

/// `queue.unbind-ok`
public struct QueueUnbindOk: Method {
  @inlinable public static var id: MethodID { MethodID(50, 51) }
  public init() {}
}
