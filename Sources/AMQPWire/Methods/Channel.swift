/// The methods of class `channel` (20): opening, pausing and closing one channel (1.5).
/// Knows their fields only; what they mean is said in BrokerServer.

/// `channel.open`
public struct ChannelOpen: Method {
  @inlinable public static var id: MethodID { MethodID(20, 10) }
  public var outOfBand: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&outOfBand)
  }
}

/// `channel.open-ok`
public struct ChannelOpenOk: Method {
  @inlinable public static var id: MethodID { MethodID(20, 11) }
  public var channelID: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longString(&channelID)
  }
}

/// `channel.flow`
public struct ChannelFlow: Method {
  @inlinable public static var id: MethodID { MethodID(20, 20) }
  public var active = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.bit(&active)
  }
}

/// `channel.flow-ok`
public struct ChannelFlowOk: Method {
  @inlinable public static var id: MethodID { MethodID(20, 21) }
  public var active = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.bit(&active)
  }
}

/// `channel.close`
public struct ChannelClose: Method {
  @inlinable public static var id: MethodID { MethodID(20, 40) }
  public var replyCode: UInt16 = 0
  public var replyText: ByteString = ""
  public var classID: UInt16 = 0
  public var methodID: UInt16 = 0

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&replyCode)
    try fields.shortString(&replyText)
    try fields.short(&classID)
    try fields.short(&methodID)
  }
}

/// `channel.close-ok`
public struct ChannelCloseOk: Method {
  @inlinable public static var id: MethodID { MethodID(20, 41) }
  public init() {}
}
