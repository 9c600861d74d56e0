/// The decoders of AMQPWire on octets in an array. Knows no expected value.
import AMQPWire

/// What a decoder makes of octets. A result and no throw: swift-testing records a backtrace at every throw,
/// which took a third of the fuzz test's time.
func reading<Value>(
  _ octets: [UInt8], _ read: (UnsafeRawBufferPointer) throws(ProtocolError) -> Value
) -> Result<Value, ProtocolError> {
  octets.withUnsafeBytes { bytes in
    do throws(ProtocolError) { return .success(try read(bytes)) } catch { return .failure(error) }
  }
}

extension Result {
  var isSuccess: Bool { if case .success = self { true } else { false } }
}

/// A table with its length, and nothing behind it.
func tableRead(from octets: [UInt8]) -> Result<FieldTable, ProtocolError> {
  reading(octets) { bytes throws(ProtocolError) in
    var reader = FieldReader(bytes)
    let table = try reader.table()
    try reader.expectEnd()
    return table
  }
}

func tableSkipped(in octets: [UInt8]) -> Result<Void, ProtocolError> {
  reading(octets) { bytes throws(ProtocolError) in
    var reader = FieldReader(bytes)
    try reader.skipTable()
    try reader.expectEnd()
  }
}

func readTable(_ octets: [UInt8]) throws(ProtocolError) -> FieldTable { try tableRead(from: octets).get() }

func skipTable(_ octets: [UInt8]) throws(ProtocolError) { try tableSkipped(in: octets).get() }

func octets(of table: FieldTable) -> [UInt8] {
  var writer = FieldWriter()
  writer.put(table: table)
  return writer.bytes
}

extension Method {
  static func read(from octets: [UInt8]) -> Result<Self, ProtocolError> {
    reading(octets) { bytes throws(ProtocolError) in try Self(arguments: bytes) }
  }

  init(octets: [UInt8]) throws(ProtocolError) { self = try Self.read(from: octets).get() }

  func frame(channel: UInt16) -> [UInt8] {
    var octets: [UInt8] = []
    appendFrame(channel: channel, to: &octets)
    return octets
  }
}

extension BasicProperties {
  static func read(from octets: [UInt8]) -> Result<Self, ProtocolError> {
    reading(octets) { bytes throws(ProtocolError) in try Self(bytes) }
  }

  init(octets: [UInt8]) throws(ProtocolError) { self = try Self.read(from: octets).get() }
}

extension PropertyIndex {
  static func read(from octets: [UInt8]) -> Result<Self, ProtocolError> {
    reading(octets) { bytes throws(ProtocolError) in try Self(bytes) }
  }

  init(octets: [UInt8]) throws(ProtocolError) { self = try Self.read(from: octets).get() }
}

extension FrameHeader {
  init?(octets: [UInt8]) {
    guard let header = octets.withUnsafeBytes({ FrameHeader($0) }) else { return nil }
    self = header
  }
}

extension ContentHeader {
  init?(octets: [UInt8]) {
    guard let header = octets.withUnsafeBytes({ ContentHeader($0) }) else { return nil }
    self = header
  }
}
