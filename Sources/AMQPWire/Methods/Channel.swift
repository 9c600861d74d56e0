/// The methods of class `channel` (20): opening, pausing and closing one channel (1.5).
/// Knows their fields only; what they mean is said in BrokerServer.

/// `channel.open`
package struct ChannelOpen: Method {
  @inlinable package static var id: MethodID { MethodID(20, 10) }
  package var outOfBand: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&outOfBand)
  }
}

/// `channel.open-ok`
package struct ChannelOpenOk: Method {
  @inlinable package static var id: MethodID { MethodID(20, 11) }
  package var channelID: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longString(&channelID)
  }
}

/// `channel.flow`
package struct ChannelFlow: Method {
  @inlinable package static var id: MethodID { MethodID(20, 20) }
  package var active = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.bit(&active)
  }
}

/// `channel.flow-ok`
package struct ChannelFlowOk: Method {
  @inlinable package static var id: MethodID { MethodID(20, 21) }
  package var active = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.bit(&active)
  }
}

/// `channel.close`
package struct ChannelClose: Method {
  @inlinable package static var id: MethodID { MethodID(20, 40) }
  package var replyCode: UInt16 = 0
  package var replyText: ByteString = ""
  package var classID: UInt16 = 0
  package var methodID: UInt16 = 0

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&replyCode)
    try fields.shortString(&replyText)
    try fields.short(&classID)
    try fields.short(&methodID)
  }
}

/// `channel.close-ok`
package struct ChannelCloseOk: Method {
  @inlinable package static var id: MethodID { MethodID(20, 41) }
  package init() {}
}
