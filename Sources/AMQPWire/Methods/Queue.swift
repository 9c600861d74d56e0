/// The methods of class `queue` (50): declaring, binding, purging and deleting queues (1.7).
/// Knows their fields only; what they mean is said in BrokerServer.

/// `queue.declare`
package struct QueueDeclare: Method {
  @inlinable package static var id: MethodID { MethodID(50, 10) }
  package var ticket: UInt16 = 0
  package var queue: ByteString = ""
  package var passive = false
  package var durable = false
  package var exclusive = false
  package var autoDelete = false
  package var noWait = false
  package var arguments: FieldTable = [:]

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
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
package struct QueueDeclareOk: Method {
  @inlinable package static var id: MethodID { MethodID(50, 11) }
  package var queue: ByteString = ""
  package var messageCount: UInt32 = 0
  package var consumerCount: UInt32 = 0

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&queue)
    try fields.long(&messageCount)
    try fields.long(&consumerCount)
  }
}

/// `queue.bind`
package struct QueueBind: Method {
  @inlinable package static var id: MethodID { MethodID(50, 20) }
  package var ticket: UInt16 = 0
  package var queue: ByteString = ""
  package var exchange: ByteString = ""
  package var routingKey: ByteString = ""
  package var noWait = false
  package var arguments: FieldTable = [:]

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&queue)
    try fields.shortString(&exchange)
    try fields.shortString(&routingKey)
    try fields.bit(&noWait)
    try fields.table(&arguments)
  }
}

/// `queue.bind-ok`
package struct QueueBindOk: Method {
  @inlinable package static var id: MethodID { MethodID(50, 21) }
  package init() {}
}

/// `queue.purge`
package struct QueuePurge: Method {
  @inlinable package static var id: MethodID { MethodID(50, 30) }
  package var ticket: UInt16 = 0
  package var queue: ByteString = ""
  package var noWait = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&queue)
    try fields.bit(&noWait)
  }
}

/// `queue.purge-ok`
package struct QueuePurgeOk: Method {
  @inlinable package static var id: MethodID { MethodID(50, 31) }
  package var messageCount: UInt32 = 0

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.long(&messageCount)
  }
}

/// `queue.delete`
package struct QueueDelete: Method {
  @inlinable package static var id: MethodID { MethodID(50, 40) }
  package var ticket: UInt16 = 0
  package var queue: ByteString = ""
  package var ifUnused = false
  package var ifEmpty = false
  package var noWait = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&queue)
    try fields.bit(&ifUnused)
    try fields.bit(&ifEmpty)
    try fields.bit(&noWait)
  }
}

/// `queue.delete-ok`
package struct QueueDeleteOk: Method {
  @inlinable package static var id: MethodID { MethodID(50, 41) }
  package var messageCount: UInt32 = 0

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.long(&messageCount)
  }
}

/// `queue.unbind`
package struct QueueUnbind: Method {
  @inlinable package static var id: MethodID { MethodID(50, 50) }
  package var ticket: UInt16 = 0
  package var queue: ByteString = ""
  package var exchange: ByteString = ""
  package var routingKey: ByteString = ""
  package var arguments: FieldTable = [:]

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
    try fields.shortString(&queue)
    try fields.shortString(&exchange)
    try fields.shortString(&routingKey)
    try fields.table(&arguments)
  }
}

/// `queue.unbind-ok`
package struct QueueUnbindOk: Method {
  @inlinable package static var id: MethodID { MethodID(50, 51) }
  package init() {}
}
