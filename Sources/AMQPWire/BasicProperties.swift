/// The properties of class `basic` (1.8.1), read whole, or only scanned. Knows nothing of what they mean.
///
///     0        2
///     +--------+----------------------------------------------------------------+
///     | flags  | the fields whose flag is set, from the highest bit to the lowest |
///     +--------+----------------------------------------------------------------+

/// One flag for each property, in the order of their fields.
public struct PropertyFlags: OptionSet, Sendable {
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  public static let contentType = PropertyFlags(rawValue: 1 << 15)
  public static let contentEncoding = PropertyFlags(rawValue: 1 << 14)
  public static let headers = PropertyFlags(rawValue: 1 << 13)
  public static let deliveryMode = PropertyFlags(rawValue: 1 << 12)
  public static let priority = PropertyFlags(rawValue: 1 << 11)
  public static let correlationID = PropertyFlags(rawValue: 1 << 10)
  public static let replyTo = PropertyFlags(rawValue: 1 << 9)
  public static let expiration = PropertyFlags(rawValue: 1 << 8)
  public static let messageID = PropertyFlags(rawValue: 1 << 7)
  public static let timestamp = PropertyFlags(rawValue: 1 << 6)
  public static let type = PropertyFlags(rawValue: 1 << 5)
  public static let userID = PropertyFlags(rawValue: 1 << 4)
  public static let appID = PropertyFlags(rawValue: 1 << 3)
  public static let clusterID = PropertyFlags(rawValue: 1 << 2)
  /// Those that a broker looks at before it routes.
  public static let checked: PropertyFlags = [.userID, .expiration, .headers, .replyTo]
  /// Announces a second word of flags, which class `basic` does not have.
  public static let continued = PropertyFlags(rawValue: 1)
}

/// All properties of a message; nil is absent.
public struct BasicProperties: Equatable, Sendable {
  public var contentType: ByteString?
  public var contentEncoding: ByteString?
  public var headers: FieldTable?
  public var deliveryMode: UInt8?
  public var priority: UInt8?
  public var correlationID: ByteString?
  public var replyTo: ByteString?
  public var expiration: ByteString?
  public var messageID: ByteString?
  public var timestamp: UInt64?
  public var type: ByteString?
  public var userID: ByteString?
  public var appID: ByteString?
  public var clusterID: ByteString?

  public init() {}

  public init(headers: FieldTable) { self.headers = headers }

  public init(_ octets: UnsafeRawBufferPointer) throws(ProtocolError) {
    var reader = FieldReader(octets)
    let flags = try PropertyFlags(from: &reader)
    func string(_ flag: PropertyFlags) throws(ProtocolError) -> ByteString? {
      flags.contains(flag) ? ByteString(try reader.take(Int(try reader.octet()), for: "shortstr")) : nil
    }
    contentType = try string(.contentType)
    contentEncoding = try string(.contentEncoding)
    if flags.contains(.headers) { headers = try reader.table() }
    if flags.contains(.deliveryMode) { deliveryMode = try reader.octet() }
    if flags.contains(.priority) { priority = try reader.octet() }
    correlationID = try string(.correlationID)
    replyTo = try string(.replyTo)
    expiration = try string(.expiration)
    messageID = try string(.messageID)
    if flags.contains(.timestamp) { timestamp = try reader.longLong() }
    type = try string(.type)
    userID = try string(.userID)
    appID = try string(.appID)
    clusterID = try string(.clusterID)
    try reader.expectEnd()
  }

  /// Flags and fields, as they stand in a content header behind the body size.
  public var octets: [UInt8] {
    var flags: PropertyFlags = []
    var writer = FieldWriter()
    writer.put(UInt16(0))
    func string(_ value: ByteString?, _ flag: PropertyFlags) {
      guard let value else { return }
      flags.insert(flag)
      writer.put(shortString: value)
    }
    func integer<I: FixedWidthInteger>(_ value: I?, _ flag: PropertyFlags) {
      guard let value else { return }
      flags.insert(flag)
      writer.put(value)
    }
    string(contentType, .contentType)
    string(contentEncoding, .contentEncoding)
    if let headers {
      flags.insert(.headers)
      writer.put(table: headers)
    }
    integer(deliveryMode, .deliveryMode)
    integer(priority, .priority)
    string(correlationID, .correlationID)
    string(replyTo, .replyTo)
    string(expiration, .expiration)
    string(messageID, .messageID)
    integer(timestamp, .timestamp)
    string(type, .type)
    string(userID, .userID)
    string(appID, .appID)
    string(clusterID, .clusterID)
    var octets = writer.bytes
    octets[0] = UInt8(flags.rawValue >> 8)
    octets[1] = UInt8(flags.rawValue & 0xFF)
    return octets
  }
}

extension PropertyFlags {
  init(from reader: inout FieldReader) throws(ProtocolError) {
    self.init(rawValue: try reader.short())
    guard !contains(.continued) else {
      throw ProtocolError(
        .frameError, "property flags \(rawValue) announce a second word, which class basic lacks")
    }
  }
}

/// Where in a block of properties those stand that a broker looks at; the others are only checked.
public struct PropertyIndex: Sendable {
  public struct Place: Sendable {
    public var offset: UInt32 = 0
    public var count: UInt32 = 0
    public var range: Range<Int> { Int(offset)..<Int(offset) + Int(count) }
  }

  public private(set) var flags: PropertyFlags = []
  public private(set) var deliveryMode: UInt8 = 0
  public private(set) var priority: UInt8 = 0
  /// The headers' fields, without the table's length.
  public private(set) var headers = Place()
  public private(set) var replyTo = Place()
  public private(set) var expiration = Place()
  public private(set) var userID = Place()

  public init() {}

  /// - Throws: 502 that says what is wrong
  // hot:
  public init(_ octets: UnsafeRawBufferPointer) throws(ProtocolError) {
    do throws(ProtocolError) {
      try scan(octets)
    } catch {
      throw ProtocolError(.syntaxError, "cannot decode properties: \(error.text)")
    }
  }

  private mutating func scan(_ octets: UnsafeRawBufferPointer) throws(ProtocolError) {
    var reader = FieldReader(octets)
    flags = try PropertyFlags(from: &reader)
    guard !flags.isEmpty else { return try reader.expectEnd() }
    func place(_ flag: PropertyFlags) throws(ProtocolError) -> Place {
      guard flags.contains(flag) else { return Place() }
      let count = Int(try reader.octet())
      let offset = reader.position
      _ = try reader.take(count, for: "shortstr")
      return Place(offset: UInt32(offset), count: UInt32(count))
    }
    _ = try place(.contentType)
    _ = try place(.contentEncoding)
    if flags.contains(.headers) {
      let start = reader.position + 4
      try reader.skipTable()
      headers = Place(offset: UInt32(start), count: UInt32(reader.position - start))
    }
    if flags.contains(.deliveryMode) { deliveryMode = try reader.octet() }
    if flags.contains(.priority) { priority = try reader.octet() }
    _ = try place(.correlationID)
    replyTo = try place(.replyTo)
    expiration = try place(.expiration)
    _ = try place(.messageID)
    if flags.contains(.timestamp) { _ = try reader.longLong() }
    _ = try place(.type)
    userID = try place(.userID)
    _ = try place(.appID)
    _ = try place(.clusterID)
    try reader.expectEnd()
  }
}
