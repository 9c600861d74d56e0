/// The methods of class `connection` (10): the handshake, its end, and the alarms (AMQP 0-9-1, 1.4; RabbitMQ adds blocked, unblocked
/// and update-secret).
/// Knows their fields only; what they mean is said in BrokerServer.

/// `connection.start`
public struct ConnectionStart: Method {
  @inlinable public static var id: MethodID { MethodID(10, 10) }
  public var versionMajor: UInt8 = 0
  public var versionMinor: UInt8 = 0
  public var serverProperties: FieldTable = [:]
  public var mechanisms: ByteString = ""
  public var locales: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.octet(&versionMajor)
    try fields.octet(&versionMinor)
    try fields.table(&serverProperties)
    try fields.longString(&mechanisms)
    try fields.longString(&locales)
  }
}

/// `connection.start-ok`
public struct ConnectionStartOk: Method {
  @inlinable public static var id: MethodID { MethodID(10, 11) }
  public var clientProperties: FieldTable = [:]
  public var mechanism: ByteString = ""
  public var response: ByteString = ""
  public var locale: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.table(&clientProperties)
    try fields.shortString(&mechanism)
    try fields.longString(&response)
    try fields.shortString(&locale)
  }
}

/// `connection.secure`
public struct ConnectionSecure: Method {
  @inlinable public static var id: MethodID { MethodID(10, 20) }
  public var challenge: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longString(&challenge)
  }
}

/// `connection.secure-ok`
public struct ConnectionSecureOk: Method {
  @inlinable public static var id: MethodID { MethodID(10, 21) }
  public var response: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longString(&response)
  }
}

/// `connection.tune`
public struct ConnectionTune: Method {
  @inlinable public static var id: MethodID { MethodID(10, 30) }
  public var channelMax: UInt16 = 0
  public var frameMax: UInt32 = 0
  public var heartbeat: UInt16 = 0

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&channelMax)
    try fields.long(&frameMax)
    try fields.short(&heartbeat)
  }
}

/// `connection.tune-ok`
public struct ConnectionTuneOk: Method {
  @inlinable public static var id: MethodID { MethodID(10, 31) }
  public var channelMax: UInt16 = 0
  public var frameMax: UInt32 = 0
  public var heartbeat: UInt16 = 0

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.short(&channelMax)
    try fields.long(&frameMax)
    try fields.short(&heartbeat)
  }
}

/// `connection.open`
public struct ConnectionOpen: Method {
  @inlinable public static var id: MethodID { MethodID(10, 40) }
  public var virtualHost: ByteString = ""
  public var capabilities: ByteString = ""
  public var insist = false

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&virtualHost)
    try fields.shortString(&capabilities)
    try fields.bit(&insist)
  }
}

/// `connection.open-ok`
public struct ConnectionOpenOk: Method {
  @inlinable public static var id: MethodID { MethodID(10, 41) }
  public var knownHosts: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&knownHosts)
  }
}

/// `connection.close`
public struct ConnectionClose: Method {
  @inlinable public static var id: MethodID { MethodID(10, 50) }
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

/// `connection.close-ok`
public struct ConnectionCloseOk: Method {
  @inlinable public static var id: MethodID { MethodID(10, 51) }
  public init() {}
}

/// `connection.blocked`
public struct ConnectionBlocked: Method {
  @inlinable public static var id: MethodID { MethodID(10, 60) }
  public var reason: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.shortString(&reason)
  }
}

/// `connection.unblocked`
public struct ConnectionUnblocked: Method {
  @inlinable public static var id: MethodID { MethodID(10, 61) }
  public init() {}
}

/// `connection.update-secret`
public struct ConnectionUpdateSecret: Method {
  @inlinable public static var id: MethodID { MethodID(10, 70) }
  public var newSecret: ByteString = ""
  public var reason: ByteString = ""

  public init() {}
  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {
    try fields.longString(&newSecret)
    try fields.shortString(&reason)
  }
}

/// `connection.update-secret-ok`
public struct ConnectionUpdateSecretOk: Method {
  @inlinable public static var id: MethodID { MethodID(10, 71) }
  public init() {}
}
