import AMQPWire

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The fields of a headers table as octets that can be compared. Knows no binding.
///
/// Values that RabbitMQ takes for equal get the same octets: integers of any width become 64 bits, both kinds
/// of floating point numbers doubles, a boolean 0 or 1, binary a string. An integer never equals a double.
///
///     +-------------+------+------+-------+
///     | name length | name | type | value |     one after the other
///     +-------------+------+------+-------+
struct HeaderFields {
  private var octets: [UInt8] = []
  /// In the order of the fields' octets if they are many, so that one of them is found by halves.
  private var places: [Range<Int>] = []
  private static let few = 16

  var count: Int { places.count }

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
    places.removeAll(keepingCapacity: true)
    FieldReader.forEachField(of: table) { name, type, value in
      let start = octets.count
      octets.append(UInt8(truncatingIfNeeded: name.count))
      octets.append(contentsOf: name)
      append(type, value)
      places.append(start..<octets.count)
    }
    guard places.count > Self.few else { return }
    octets.withUnsafeBytes { octets in
      places.sort { Self.order(octets[$0], octets[$1]) < 0 }
    }
  }

  private static func order(_ left: Slice<UnsafeRawBufferPointer>, _ right: Slice<UnsafeRawBufferPointer>)
    -> Int32
  {
    let (left, right) = (UnsafeRawBufferPointer(rebasing: left), UnsafeRawBufferPointer(rebasing: right))
    guard let first = left.baseAddress, let second = right.baseAddress else { return 0 }
    let common = memcmp(first, second, min(left.count, right.count))
    return common != 0 ? common : Int32(clamping: left.count - right.count)
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
    case UInt8(ascii: "x"):
      octets.append(UInt8(ascii: "S"))
      octets.append(contentsOf: value)
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
    octets.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[places[index]])) }
  }

  // hot:
  func hasField(_ field: ByteString) -> Bool { contains { field.order(of: $0) } }

  /// - Parameter name: with its length before it
  // hot:
  func hasName(_ name: ByteString) -> Bool {
    contains { field in name.order(of: UnsafeRawBufferPointer(rebasing: field.prefix(name.count))) }
  }

  /// Whether there is a field that `order` finds equal: 0; above 0 what is sought stands behind it.
  @inline(__always)
  private func contains(_ order: (UnsafeRawBufferPointer) -> Int32) -> Bool {
    guard count > Self.few else { return (0..<count).contains { withField($0, order) == 0 } }
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      let found = withField(middle, order)
      if found == 0 { return true }
      if found > 0 { low = middle + 1 } else { high = middle }
    }
    return false
  }
}

extension ByteString {
  /// Below, at or above 0, as these octets stand before, are equal to, or stand behind `octets`.
  fileprivate func order(of octets: UnsafeRawBufferPointer) -> Int32 {
    bytes.withUnsafeBytes { own in
      guard let left = own.baseAddress, let right = octets.baseAddress else {
        return Int32(clamping: own.count - octets.count)
      }
      let common = memcmp(left, right, min(own.count, octets.count))
      return common != 0 ? common : Int32(clamping: own.count - octets.count)
    }
  }
}
