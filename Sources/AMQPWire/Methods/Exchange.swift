/// The methods of class `exchange` (40): declaring, deleting and binding exchanges (1.6; RabbitMQ adds bind and unbind).
/// Knows their fields only; what they mean is said in BrokerServer.

/// `exchange.declare`
package struct ExchangeDeclare: Method {
  @inlinable package static var id: MethodID { MethodID(40, 10) }
  package var ticket: UInt16 = 0
  package var exchange: ByteString = ""
  package var type: ByteString = ""
  package var passive = false
  package var durable = false
  package var autoDelete = false
  package var isInternal = false
  package var noWait = false
  package var arguments: FieldTable = [:]

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
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
package struct ExchangeDeclareOk: Method {
  @inlinable package static var id: MethodID { MethodID(40, 11) }
  package init() {}
}

/// `exchange.delete`
package struct ExchangeDelete: Method {
  @inlinable package static var id: MethodID { MethodID(40, 20) }
  package var ticket: UInt16 = 0
  package var exchange: ByteString = ""
  package var ifUnused = false
  package var noWait = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&exchange)
    try fields.bit(&ifUnused)
    try fields.bit(&noWait)
  }
}

/// `exchange.delete-ok`
package struct ExchangeDeleteOk: Method {
  @inlinable package static var id: MethodID { MethodID(40, 21) }
  package init() {}
}

/// `exchange.bind`
package struct ExchangeBind: Method {
  @inlinable package static var id: MethodID { MethodID(40, 30) }
  package var ticket: UInt16 = 0
  package var destination: ByteString = ""
  package var source: ByteString = ""
  package var routingKey: ByteString = ""
  package var noWait = false
  package var arguments: FieldTable = [:]

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&destination)
    try fields.shortString(&source)
    try fields.shortString(&routingKey)
    try fields.bit(&noWait)
    try fields.table(&arguments)
  }
}

/// `exchange.bind-ok`
package struct ExchangeBindOk: Method {
  @inlinable package static var id: MethodID { MethodID(40, 31) }
  package init() {}
}

/// `exchange.unbind`
package struct ExchangeUnbind: Method {
  @inlinable package static var id: MethodID { MethodID(40, 40) }
  package var ticket: UInt16 = 0
  package var destination: ByteString = ""
  package var source: ByteString = ""
  package var routingKey: ByteString = ""
  package var noWait = false
  package var arguments: FieldTable = [:]

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&destination)
    try fields.shortString(&source)
    try fields.shortString(&routingKey)
    try fields.bit(&noWait)
    try fields.table(&arguments)
  }
}

/// `exchange.unbind-ok`
package struct ExchangeUnbindOk: Method {
  @inlinable package static var id: MethodID { MethodID(40, 51) }
  package init() {}
}
