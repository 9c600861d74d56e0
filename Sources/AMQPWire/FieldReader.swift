/// Reads fields from octets that a peer sent. Every step is checked; nothing here can trap. Knows no method.
public struct FieldReader: FieldVisitor {
  public let octets: UnsafeRawBufferPointer
  public private(set) var position = 0
  /// Consecutive bits share an octet (4.2.5.2); any other field ends the run.
  private var bits: UInt8 = 0
  private var bitsLeft = 0

  public init(_ octets: UnsafeRawBufferPointer) { self.octets = octets }

  public var remaining: Int { octets.count - position }

  public func expectEnd() throws(ProtocolError) {
    guard remaining == 0 else {
      throw ProtocolError(.frameError, "\(remaining) octets too many after the last field")
    }
  }

  /// The next `count` octets, in place.
  public mutating func take(_ count: Int, for what: StaticString) throws(ProtocolError)
    -> UnsafeRawBufferPointer
  {
    bitsLeft = 0
    guard count >= 0, count <= remaining else {
      throw ProtocolError(.frameError, "\(what) of \(count) octets, \(remaining) left")
    }
    defer { position += count }
    return UnsafeRawBufferPointer(rebasing: octets[position..<(position + count)])
  }

  private mutating func integer<I: FixedWidthInteger>(_: I.Type, for what: StaticString) throws(ProtocolError)
    -> I
  {
    I(bigEndian: try take(MemoryLayout<I>.size, for: what).loadUnaligned(as: I.self))
  }

  public mutating func octet() throws(ProtocolError) -> UInt8 { try integer(UInt8.self, for: "octet") }
  public mutating func short() throws(ProtocolError) -> UInt16 { try integer(UInt16.self, for: "short") }
  public mutating func long() throws(ProtocolError) -> UInt32 { try integer(UInt32.self, for: "long") }
  public mutating func longLong() throws(ProtocolError) -> UInt64 {
    try integer(UInt64.self, for: "longlong")
  }

  public mutating func bit() throws(ProtocolError) -> Bool {
    if bitsLeft == 0 {
      bits = try octet()
      bitsLeft = 8
    }
    defer {
      bits >>= 1
      bitsLeft -= 1
    }
    return bits & 1 == 1
  }

  /// A short string; in method fields it has to be UTF-8, as in RabbitMQ.
  public mutating func shortString() throws(ProtocolError) -> ByteString {
    let bytes = try take(Int(try octet()), for: "shortstr")
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw .malformedText
    }
    return ByteString(bytes)
  }

  public mutating func longString() throws(ProtocolError) -> ByteString {
    ByteString(try take(Int(try long()), for: "longstr"))
  }

  public mutating func table() throws(ProtocolError) -> FieldTable { try table(depth: 0) }

  private mutating func table(depth: Int) throws(ProtocolError) -> FieldTable {
    var inner = FieldReader(try take(Int(try long()), for: "table"))
    return try inner.fields(depth: depth)
  }

  private mutating func fields(depth: Int) throws(ProtocolError) -> FieldTable {
    var table = FieldTable()
    while remaining > 0 {
      let name = ByteString(try take(Int(try octet()), for: "field name"))
      table.append(name, try value(depth: depth))
    }
    return table
  }

  /// Checks a table from end to end without making values of it.
  public mutating func skipTable() throws(ProtocolError) { try skipTable(depth: 0) }

  private mutating func skipTable(depth: Int) throws(ProtocolError) {
    var inner = FieldReader(try take(Int(try long()), for: "table"))
    while inner.remaining > 0 {
      _ = try inner.take(Int(try inner.octet()), for: "field name")
      try inner.skipValue(depth: depth)
    }
  }

  private mutating func skipValue(depth: Int) throws(ProtocolError) {
    guard depth < WireLimits.tableDepth else { throw .tooDeep }
    let type = try octet()
    switch type {
    case UInt8(ascii: "F"): try skipTable(depth: depth + 1)
    case UInt8(ascii: "A"):
      var inner = FieldReader(try take(Int(try long()), for: "array"))
      while inner.remaining > 0 { try inner.skipValue(depth: depth + 1) }
    default: _ = try valueOctets(of: type)
    }
  }

  /// A field value with its type octet. The types are RabbitMQ's, which differ from the
  /// specification's (https://www.rabbitmq.com/docs/amqp-0-9-1-errata, 3): `s` is a short and not a
  /// short string, and both `l` and `L` are signed.
  private mutating func value(depth: Int) throws(ProtocolError) -> FieldValue {
    guard depth < WireLimits.tableDepth else { throw .tooDeep }
    let type = try octet()
    switch type {
    case UInt8(ascii: "t"): return .boolean(try octet() != 0)
    case UInt8(ascii: "b"): return .int8(Int8(bitPattern: try octet()))
    case UInt8(ascii: "B"): return .uint8(try octet())
    case UInt8(ascii: "s"): return .int16(Int16(bitPattern: try short()))
    case UInt8(ascii: "u"): return .uint16(try short())
    case UInt8(ascii: "I"): return .int32(Int32(bitPattern: try long()))
    case UInt8(ascii: "i"): return .uint32(try long())
    case UInt8(ascii: "l"), UInt8(ascii: "L"): return .int64(Int64(bitPattern: try longLong()))
    case UInt8(ascii: "f"): return .float(Float(bitPattern: try long()))
    case UInt8(ascii: "d"): return .double(Double(bitPattern: try longLong()))
    case UInt8(ascii: "D"): return .decimal(scale: try octet(), value: try long())
    case UInt8(ascii: "S"): return .string(try longString())
    case UInt8(ascii: "x"): return .bytes(try longString())
    case UInt8(ascii: "T"): return .timestamp(try longLong())
    case UInt8(ascii: "F"): return .table(try table(depth: depth + 1))
    case UInt8(ascii: "V"): return .void
    case UInt8(ascii: "A"):
      var inner = FieldReader(try take(Int(try long()), for: "array"))
      var values: [FieldValue] = []
      while inner.remaining > 0 { values.append(try inner.value(depth: depth + 1)) }
      return .array(values)
    default: throw .unknownFieldType(type)
    }
  }
}

extension ProtocolError {
  public static let malformedText = ProtocolError(.frameError, "Malformed UTF-8 in shortstr")
  fileprivate static var tooDeep: ProtocolError {
    ProtocolError(.frameError, "a table nested deeper than \(WireLimits.tableDepth)")
  }
  fileprivate static func unknownFieldType(_ type: UInt8) -> ProtocolError {
    ProtocolError(.frameError, "field type \(type) is none of tbBsuIilLfdDSxTFVA")
  }
}

extension FieldReader {
  /// Shows each field of such a table: its name, its type octet, and the octets of its value, for strings,
  /// tables and arrays without their length. Stops at octets that are no field.
  // hot:
  public static func forEachField(
    of octets: UnsafeRawBufferPointer,
    _ body: (_ name: UnsafeRawBufferPointer, _ type: UInt8, _ value: UnsafeRawBufferPointer) -> Void
  ) {
    var reader = FieldReader(octets)
    do throws(ProtocolError) {
      while reader.remaining > 0 {
        let name = try reader.take(Int(try reader.octet()), for: "field name")
        let type = try reader.octet()
        body(name, type, try reader.valueOctets(of: type))
      }
    } catch {
      return
    }
  }

  private mutating func valueOctets(of type: UInt8) throws(ProtocolError) -> UnsafeRawBufferPointer {
    switch type {
    case UInt8(ascii: "t"), UInt8(ascii: "b"), UInt8(ascii: "B"): try take(1, for: "octet")
    case UInt8(ascii: "s"), UInt8(ascii: "u"): try take(2, for: "short")
    case UInt8(ascii: "I"), UInt8(ascii: "i"), UInt8(ascii: "f"): try take(4, for: "long")
    case UInt8(ascii: "l"), UInt8(ascii: "L"), UInt8(ascii: "d"), UInt8(ascii: "T"):
      try take(8, for: "longlong")
    case UInt8(ascii: "D"): try take(5, for: "decimal")
    case UInt8(ascii: "V"): try take(0, for: "void")
    case UInt8(ascii: "S"), UInt8(ascii: "x"), UInt8(ascii: "F"), UInt8(ascii: "A"):
      try take(Int(try long()), for: "longstr")
    default: throw .unknownFieldType(type)
    }
  }

  /// The fields of a table whose length has been read already, as `PropertyIndex` gives them.
  public static func fields(of octets: UnsafeRawBufferPointer) throws(ProtocolError) -> FieldTable {
    var reader = FieldReader(octets)
    return try reader.fields(depth: 0)
  }
}

extension FieldReader {
  public mutating func bit(_ value: inout Bool) throws(ProtocolError) { value = try bit() }
  public mutating func octet(_ value: inout UInt8) throws(ProtocolError) { value = try octet() }
  public mutating func short(_ value: inout UInt16) throws(ProtocolError) { value = try short() }
  public mutating func long(_ value: inout UInt32) throws(ProtocolError) { value = try long() }
  public mutating func longLong(_ value: inout UInt64) throws(ProtocolError) { value = try longLong() }
  public mutating func shortString(_ value: inout ByteString) throws(ProtocolError) {
    value = try shortString()
  }
  public mutating func longString(_ value: inout ByteString) throws(ProtocolError) {
    value = try longString()
  }
  public mutating func table(_ value: inout FieldTable) throws(ProtocolError) { value = try table() }
}
