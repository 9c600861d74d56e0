/// The methods of class `access` (30): the ticket of AMQP 0-8, which old clients still ask for.
/// Knows their fields only; what they mean is said in BrokerServer.

/// `access.request`
public struct AccessRequest: Method {
  @inlinable public static var id: MethodID { MethodID(30, 10) }
  public var realm: ByteString = ""
  public var exclusive = false
  public var passive = false
  public var active = false
  public var write = false
  public var read = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&realm)
    try fields.bit(&exclusive)
    try fields.bit(&passive)
    try fields.bit(&active)
    try fields.bit(&write)
    try fields.bit(&read)
  }
}

/// `access.request-ok`
public struct AccessRequestOk: Method {
  @inlinable public static var id: MethodID { MethodID(30, 11) }
  public var ticket: UInt16 = 0

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&ticket)
  }
}
