/// The methods of class `confirm` (85): publisher confirms, an extension of RabbitMQ.
/// Knows their fields only; what they mean is said in BrokerServer.

/// `confirm.select`
package struct ConfirmSelect: Method {
  @inlinable package static var id: MethodID { MethodID(85, 10) }
  package var noWait = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.bit(&noWait)
  }
}

/// `confirm.select-ok`
package struct ConfirmSelectOk: Method {
  @inlinable package static var id: MethodID { MethodID(85, 11) }
  package init() {}
}
