/// The methods of class `connection` (10): the handshake, its end, and the alarms (AMQP 0-9-1, 1.4; RabbitMQ adds blocked, unblocked
/// and update-secret).
/// Knows their fields only; what they mean is said in BrokerServer.

/// `connection.start`
package struct ConnectionStart: Method {
  @inlinable package static var id: MethodID { MethodID(10, 10) }
  package var versionMajor: UInt8 = 0
  package var versionMinor: UInt8 = 0
  package var serverProperties: FieldTable = [:]
  package var mechanisms: ByteString = ""
  package var locales: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.octet(&versionMajor)
    try fields.octet(&versionMinor)
    try fields.table(&serverProperties)
    try fields.longString(&mechanisms)
    try fields.longString(&locales)
  }
}

/// `connection.start-ok`
package struct ConnectionStartOk: Method {
  @inlinable package static var id: MethodID { MethodID(10, 11) }
  package var clientProperties: FieldTable = [:]
  package var mechanism: ByteString = ""
  package var response: ByteString = ""
  package var locale: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.table(&clientProperties)
    try fields.shortString(&mechanism)
    try fields.longString(&response)
    try fields.shortString(&locale)
  }
}

/// `connection.secure`
package struct ConnectionSecure: Method {
  @inlinable package static var id: MethodID { MethodID(10, 20) }
  package var challenge: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longString(&challenge)
  }
}

/// `connection.secure-ok`
package struct ConnectionSecureOk: Method {
  @inlinable package static var id: MethodID { MethodID(10, 21) }
  package var response: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longString(&response)
  }
}

/// `connection.tune`
package struct ConnectionTune: Method {
  @inlinable package static var id: MethodID { MethodID(10, 30) }
  package var channelMax: UInt16 = 0
  package var frameMax: UInt32 = 0
  package var heartbeat: UInt16 = 0

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&channelMax)
    try fields.long(&frameMax)
    try fields.short(&heartbeat)
  }
}

/// `connection.tune-ok`
package struct ConnectionTuneOk: Method {
  @inlinable package static var id: MethodID { MethodID(10, 31) }
  package var channelMax: UInt16 = 0
  package var frameMax: UInt32 = 0
  package var heartbeat: UInt16 = 0

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&channelMax)
    try fields.long(&frameMax)
    try fields.short(&heartbeat)
  }
}

/// `connection.open`
package struct ConnectionOpen: Method {
  @inlinable package static var id: MethodID { MethodID(10, 40) }
  package var virtualHost: ByteString = ""
  package var capabilities: ByteString = ""
  package var insist = false

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&virtualHost)
    try fields.shortString(&capabilities)
    try fields.bit(&insist)
  }
}

/// `connection.open-ok`
package struct ConnectionOpenOk: Method {
  @inlinable package static var id: MethodID { MethodID(10, 41) }
  package var knownHosts: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&knownHosts)
  }
}

/// `connection.close`
package struct ConnectionClose: Method {
  @inlinable package static var id: MethodID { MethodID(10, 50) }
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

/// `connection.close-ok`
package struct ConnectionCloseOk: Method {
  @inlinable package static var id: MethodID { MethodID(10, 51) }
  package init() {}
}

/// `connection.blocked`
package struct ConnectionBlocked: Method {
  @inlinable package static var id: MethodID { MethodID(10, 60) }
  package var reason: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&reason)
  }
}

/// `connection.unblocked`
package struct ConnectionUnblocked: Method {
  @inlinable package static var id: MethodID { MethodID(10, 61) }
  package init() {}
}

/// `connection.update-secret`
package struct ConnectionUpdateSecret: Method {
  @inlinable package static var id: MethodID { MethodID(10, 70) }
  package var newSecret: ByteString = ""
  package var reason: ByteString = ""

  package init() {}
  package mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longString(&newSecret)
    try fields.shortString(&reason)
  }
}

/// `connection.update-secret-ok`
package struct ConnectionUpdateSecretOk: Method {
  @inlinable package static var id: MethodID { MethodID(10, 71) }
  package init() {}
}
