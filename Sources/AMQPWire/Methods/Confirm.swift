/// The methods of class `confirm` (85): publisher confirms, an extension of RabbitMQ.
/// Knows their fields only; what they mean is said in BrokerServer.

/// `confirm.select`
public struct ConfirmSelect: Method {
  @inlinable public static var id: MethodID { MethodID(85, 10) }
  public var noWait = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.bit(&noWait)
  }
}

/// `confirm.select-ok`
public struct ConfirmSelectOk: Method {
  @inlinable public static var id: MethodID { MethodID(85, 11) }
  public init() {}
}
