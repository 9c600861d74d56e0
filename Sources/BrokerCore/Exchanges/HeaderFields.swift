import AMQPWire

/// The fields of a headers table as octets that can be compared. Knows no binding.
///
/// Values that RabbitMQ takes for equal get the same octets: integers of any width become 64 bits, both kinds
/// of floating point numbers doubles, a boolean 0 or 1. An integer never equals a double.
///
///     +-------------+------+------+-------+
///     | name length | name | type | value |     one after the other
///     +-------------+------+------+-------+
struct HeaderFields {
  private var octets: [UInt8] = []
  private var ends: [Int] = []

  var count: Int { ends.count }

  /// All fields of a table, each by itself.
  static func all(of table: FieldTable) -> [ByteString] {
    var writer = FieldWriter()
    writer.put(table: table)
    var fields = HeaderFields()
    writer.bytes.withUnsafeBytes { fields.read(UnsafeRawBufferPointer(rebasing: $0.dropFirst(4))) }
    return (0..<fields.count).map { index in fields.withField(index) { ByteString($0) } }
  }

  /// Replaces what is here by the fields of a table, which has been checked.
  // hot:
  mutating func read(_ table: UnsafeRawBufferPointer) {
    octets.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
    FieldReader.forEachField(of: table) { name, type, value in
      octets.append(UInt8(truncatingIfNeeded: name.count))
      octets.append(contentsOf: name)
      append(type, value)
      ends.append(octets.count)
    }
  }

  private mutating func append(_ type: UInt8, _ value: UnsafeRawBufferPointer) {
    func load<I: FixedWidthInteger>(_: I.Type) -> I { I(bigEndian: value.loadUnaligned(as: I.self)) }
    switch type {
    case UInt8(ascii: "b"): append(integer: Int64(load(Int8.self)))
    case UInt8(ascii: "B"): append(integer: Int64(load(UInt8.self)))
    case UInt8(ascii: "s"): append(integer: Int64(load(Int16.self)))
    case UInt8(ascii: "u"): append(integer: Int64(load(UInt16.self)))
    case UInt8(ascii: "I"): append(integer: Int64(load(Int32.self)))
    case UInt8(ascii: "i"): append(integer: Int64(load(UInt32.self)))
    case UInt8(ascii: "l"), UInt8(ascii: "L"): append(integer: load(Int64.self))
    case UInt8(ascii: "f"): append(double: Double(Float(bitPattern: load(UInt32.self))))
    case UInt8(ascii: "d"): append(double: Double(bitPattern: load(UInt64.self)))
    case UInt8(ascii: "t"):
      octets.append(type)
      octets.append(load(UInt8.self) == 0 ? 0 : 1)
    default:
      octets.append(type)
      octets.append(contentsOf: value)
    }
  }

  private mutating func append(integer: Int64) {
    octets.append(UInt8(ascii: "l"))
    withUnsafeBytes(of: integer) { octets.append(contentsOf: $0) }
  }

  private mutating func append(double: Double) {
    octets.append(UInt8(ascii: "d"))
    // 0.0 and -0.0 are equal and have different bits.
    withUnsafeBytes(of: double == 0 ? 0 : double) { octets.append(contentsOf: $0) }
  }

  @inline(__always)
  func withField<Result>(_ index: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    octets.withUnsafeBytes { octets in
      let start = index == 0 ? 0 : ends[index - 1]
      return body(UnsafeRawBufferPointer(rebasing: octets[start..<ends[index]]))
    }
  }

  // hot:
  func hasField(_ field: ByteString) -> Bool {
    (0..<count).contains { index in withField(index) { field.equals($0) } }
  }

  /// - Parameter name: with its length before it
  // hot:
  func hasName(_ name: ByteString) -> Bool {
    (0..<count).contains { index in
      withField(index) { field in
        field.count >= name.count && name.equals(UnsafeRawBufferPointer(rebasing: field[..<name.count]))
      }
    }
  }
}
