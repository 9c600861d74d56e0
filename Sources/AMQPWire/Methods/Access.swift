/// The methods of class `access` (30): the ticket of AMQP 0-8, which old clients still ask for.
/// Knows their fields only; what they mean is said in BrokerServer.

/// `access.request`
package struct AccessRequest: Method {
  @inlinable package static var id: MethodID { MethodID(30, 10) }
  package var realm: ByteString = ""
  package var exclusive = false
  package var passive = false
  package var active = false
  package var write = false
  package var read = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&realm)
    try fields.bit(&exclusive)
    try fields.bit(&passive)
    try fields.bit(&active)
    try fields.bit(&write)
    try fields.bit(&read)
  }
}

/// `access.request-ok`
package struct AccessRequestOk: Method {
  @inlinable package static var id: MethodID { MethodID(30, 11) }
  package var ticket: UInt16 = 0

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
  }
}
