/// Appends fields to octets that go to a peer. Knows no method.
public struct FieldWriter: FieldVisitor {
  public private(set) var bytes: [UInt8] = []
  private var bitsUsed = 0

  public init() {}

  public mutating func put<I: FixedWidthInteger>(_ value: I) {
    bitsUsed = 0
    withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
  }

  public mutating func put(_ octets: [UInt8]) {
    bitsUsed = 0
    bytes.append(contentsOf: octets)
  }

  public mutating func put(_ octets: UnsafeRawBufferPointer) {
    bitsUsed = 0
    bytes.append(contentsOf: octets)
  }

  public mutating func patchLong(_ value: UInt32, at position: Int) {
    withUnsafeBytes(of: value.bigEndian) { bytes.replaceSubrange(position..<(position + 4), with: $0) }
  }

  public mutating func bit(_ value: inout Bool) {
    if bitsUsed == 0 || bitsUsed == 8 {
      bytes.append(0)
      bitsUsed = 0
    }
    if value { bytes[bytes.count - 1] |= 1 << bitsUsed }
    bitsUsed += 1
  }

  public mutating func octet(_ value: inout UInt8) { put(value) }
  public mutating func short(_ value: inout UInt16) { put(value) }
  public mutating func long(_ value: inout UInt32) { put(value) }
  public mutating func longLong(_ value: inout UInt64) { put(value) }
  public mutating func shortString(_ value: inout ByteString) { put(shortString: value) }
  public mutating func longString(_ value: inout ByteString) { put(longString: value) }
  public mutating func table(_ value: inout FieldTable) { put(table: value) }

  /// Our own names are short by construction; a longer one is a defect of ours, cut and not trapped.
  public mutating func put(shortString value: ByteString) {
    put(UInt8(min(value.count, 255)))
    bytes.append(contentsOf: value.bytes.prefix(255))
  }

  public mutating func put(longString value: ByteString) {
    put(UInt32(truncatingIfNeeded: value.count))
    bytes.append(contentsOf: value.bytes)
  }

  public mutating func put(table: FieldTable) {
    sized { writer in
      for (name, value) in table.fields {
        writer.put(shortString: name)
        writer.put(value: value)
      }
    }
  }

  private mutating func sized(_ write: (inout FieldWriter) -> Void) {
    let start = bytes.count
    put(UInt32(0))
    write(&self)
    patchLong(UInt32(truncatingIfNeeded: bytes.count - start - 4), at: start)
    bitsUsed = 0
  }

  public mutating func put(value: FieldValue) {
    put(value.typeOctet)
    switch value {
    case .boolean(let flag): put(flag ? 1 as UInt8 : 0)
    case .int8(let number): put(number)
    case .uint8(let number): put(number)
    case .int16(let number): put(number)
    case .uint16(let number): put(number)
    case .int32(let number): put(number)
    case .uint32(let number): put(number)
    case .int64(let number): put(number)
    case .float(let number): put(number.bitPattern)
    case .double(let number): put(number.bitPattern)
    case .decimal(let scale, let number):
      put(scale)
      put(number)
    case .string(let octets), .bytes(let octets): put(longString: octets)
    case .timestamp(let seconds): put(seconds)
    case .table(let table): put(table: table)
    case .array(let values): sized { writer in for value in values { writer.put(value: value) } }
    case .void: break
    }
  }
}
