/// The methods of class `exchange` (40): declaring, deleting and binding exchanges (1.6; RabbitMQ adds bind and unbind).
/// Knows their fields only; what they mean is said in BrokerServer.

/// `exchange.declare`
public struct ExchangeDeclare: Method {
  @inlinable public static var id: MethodID { MethodID(40, 10) }
  public var ticket: UInt16 = 0
  public var exchange: ByteString = ""
  public var type: ByteString = ""
  public var passive = false
  public var durable = false
  public var autoDelete = false
  public var isInternal = false
  public var noWait = false
  public var arguments: FieldTable = [:]

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&exchange)
    try fields.shortString(&type)
    try fields.bit(&passive)
    try fields.bit(&durable)
    try fields.bit(&autoDelete)
    try fields.bit(&isInternal)
    try fields.bit(&noWait)
    try fields.table(&arguments)
  }
}

/// `exchange.declare-ok`
public struct ExchangeDeclareOk: Method {
  @inlinable public static var id: MethodID { MethodID(40, 11) }
  public init() {}
}

/// `exchange.delete`
public struct ExchangeDelete: Method {
  @inlinable public static var id: MethodID { MethodID(40, 20) }
  public var ticket: UInt16 = 0
  public var exchange: ByteString = ""
  public var ifUnused = false
  public var noWait = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&exchange)
    try fields.bit(&ifUnused)
    try fields.bit(&noWait)
  }
}

/// `exchange.delete-ok`
public struct ExchangeDeleteOk: Method {
  @inlinable public static var id: MethodID { MethodID(40, 21) }
  public init() {}
}

/// `exchange.bind`
public struct ExchangeBind: Method {
  @inlinable public static var id: MethodID { MethodID(40, 30) }
  public var ticket: UInt16 = 0
  public var destination: ByteString = ""
  public var source: ByteString = ""
  public var routingKey: ByteString = ""
  public var noWait = false
  public var arguments: FieldTable = [:]

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&destination)
    try fields.shortString(&source)
    try fields.shortString(&routingKey)
    try fields.bit(&noWait)
    try fields.table(&arguments)
  }
}

/// `exchange.bind-ok`
public struct ExchangeBindOk: Method {
  @inlinable public static var id: MethodID { MethodID(40, 31) }
  public init() {}
}

/// `exchange.unbind`
public struct ExchangeUnbind: Method {
  @inlinable public static var id: MethodID { MethodID(40, 40) }
  public var ticket: UInt16 = 0
  public var destination: ByteString = ""
  public var source: ByteString = ""
  public var routingKey: ByteString = ""
  public var noWait = false
  public var arguments: FieldTable = [:]

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&destination)
    try fields.shortString(&source)
    try fields.shortString(&routingKey)
    try fields.bit(&noWait)
    try fields.table(&arguments)
  }
}

/// `exchange.unbind-ok`
public struct ExchangeUnbindOk: Method {
  @inlinable public static var id: MethodID { MethodID(40, 51) }
  public init() {}
}
