/// A second codec, driven by the grammar's table. Shares nothing with AMQPWire: own octets, own values.
///
/// It is slow and plain on purpose: what it says is compared with what the fast codec says.

/// A field's value. Integers of every width and sign are one number; a float is its bits.
enum TableValue: Hashable, Sendable {
  case number(Int128)
  case octets([UInt8])
  case decimal(scale: UInt8, value: UInt32)
  case table([TableField])
  case array([TypedValue])
  case void
}

/// A value of a field table, with the octet that names its type.
struct TypedValue: Hashable, Sendable {
  let type: UInt8
  let value: TableValue
}

struct TableField: Hashable, Sendable {
  let name: [UInt8]
  let item: TypedValue
}

enum TableCodec {
  /// Values within values within a table: the same bound as the codec's under test.
  static let depthLimit = 64

  static func frame(type: UInt8, channel: UInt16, payload: [UInt8]) -> [UInt8] {
    var sink = OctetSink()
    sink.put(Int128(type), width: 1)
    sink.put(Int128(channel), width: 2)
    sink.put(Int128(payload.count), width: 4)
    return sink.octets + payload + [206]
  }

  /// The payload of a method frame.
  static func encode(_ method: GrammarMethod, _ values: [TableValue]) -> [UInt8] {
    var sink = OctetSink()
    sink.put(Int128(method.classID), width: 2)
    sink.put(Int128(method.methodID), width: 2)
    for (field, value) in zip(method.fields, values) { sink.put(value, as: field.shape) }
    return sink.octets
  }

  /// The values of a method's fields, from what follows class and method id; nil if they are malformed.
  static func decode(_ method: GrammarMethod, arguments: [UInt8]) -> [TableValue]? {
    var source = OctetSource(arguments)
    let values = method.fields.map { source.field($0.shape, checkingUTF8: true) }
    return source.isReadWell ? values : nil
  }

  /// Flags and fields of properties, which are keyed by their flags.
  static func encode(properties: [UInt16: TableValue]) -> [UInt8] {
    var sink = OctetSink()
    sink.put(Int128(properties.keys.reduce(0, |)), width: 2)
    for property in Grammar.properties {
      if let value = properties[property.flag] { sink.put(value, as: property.field.shape) }
    }
    return sink.octets
  }

  static func decode(properties octets: [UInt8]) -> [UInt16: TableValue]? {
    var source = OctetSource(octets)
    let flags = UInt16(source.number(width: 2, signed: false))
    // Bit 0 announces more flags, which class basic lacks; bit 1 is nobody's and ignored.
    guard flags & 1 == 0 else { return nil }
    var values: [UInt16: TableValue] = [:]
    for property in Grammar.properties where flags & property.flag != 0 {
      values[property.flag] = source.field(property.field.shape, checkingUTF8: false)
    }
    return source.isReadWell ? values : nil
  }

  /// A table with its length.
  static func encode(table: [TableField]) -> [UInt8] {
    var sink = OctetSink()
    sink.put(.table(table), as: .table)
    return sink.octets
  }

  static func decode(table octets: [UInt8]) -> [TableField]? {
    var source = OctetSource(octets)
    guard case .table(let fields) = source.field(.table, checkingUTF8: false) else { return nil }
    return source.isReadWell ? fields : nil
  }
}

/// Octets being written.
private struct OctetSink {
  var octets: [UInt8] = []
  private var bitCount = 0

  mutating func put(_ number: Int128, width: Int) {
    bitCount = 0
    for place in (0..<width).reversed() { octets.append(UInt8((number >> (8 * Int128(place))) & 255)) }
  }

  mutating func put(_ value: TableValue, as shape: GrammarField.Shape) {
    switch (shape, value) {
    case (.bit, .number(let flag)):
      if bitCount % 8 == 0 { octets.append(0) }
      octets[octets.count - 1] += UInt8(flag) << UInt8(bitCount % 8)
      bitCount += 1
    case (.octet, .number(let number)): put(number, width: 1)
    case (.short, .number(let number)): put(number, width: 2)
    case (.long, .number(let number)): put(number, width: 4)
    case (.longlong, .number(let number)), (.timestamp, .number(let number)): put(number, width: 8)
    case (.shortstr, .octets(let text)): put(text, lengthWidth: 1)
    case (.longstr, .octets(let text)): put(text, lengthWidth: 4)
    case (.table, .table(let fields)): put(encoded(fields), lengthWidth: 4)
    default: preconditionFailure("\(value) is not a \(shape)")
    }
  }

  private mutating func put(_ text: [UInt8], lengthWidth: Int) {
    put(Int128(text.count), width: lengthWidth)
    octets += text
  }

  private func encoded(_ fields: [TableField]) -> [UInt8] {
    var inner = OctetSink()
    for field in fields {
      inner.put(field.name, lengthWidth: 1)
      inner.put(field.item)
    }
    return inner.octets
  }

  private mutating func put(_ item: TypedValue) {
    put(Int128(item.type), width: 1)
    guard let type = Grammar.fieldTypes[item.type] else { preconditionFailure("no type \(item.type)") }
    switch item.value {
    case .number(let number): put(number, width: type.width)
    case .octets(let text): put(text, lengthWidth: 4)
    case .decimal(let scale, let value):
      put(Int128(scale), width: 1)
      put(Int128(value), width: 4)
    case .table(let fields): put(encoded(fields), lengthWidth: 4)
    case .array(let items):
      var inner = OctetSink()
      for item in items { inner.put(item) }
      put(inner.octets, lengthWidth: 4)
    case .void: break
    }
  }
}

/// Octets being read, from `next` to `end`. Once something is malformed, all that follows is zero and empty.
private struct OctetSource {
  private let octets: [UInt8]
  private var next: Int
  private var end: Int
  private var bits: [Bool] = []
  private var isMalformed = false

  init(_ octets: [UInt8]) {
    self.octets = octets
    next = 0
    end = octets.count
  }

  /// Everything was well-formed, and nothing is left.
  var isReadWell: Bool { next == end && !isMalformed }

  private var hasMore: Bool { next < end && !isMalformed }

  mutating func number(width: Int, signed: Bool) -> Int128 {
    bits = []
    guard require(width) else { return 0 }
    var number: UInt64 = 0
    for index in next..<next + width { number = number << 8 | UInt64(octets[index]) }
    next += width
    let half: Int128 = 1 << (8 * Int128(width) - 1)
    return signed && Int128(number) >= half ? Int128(number) - 2 * half : Int128(number)
  }

  mutating func field(_ shape: GrammarField.Shape, checkingUTF8: Bool) -> TableValue {
    switch shape {
    case .bit: return .number(bit() ? 1 : 0)
    case .octet: return .number(number(width: 1, signed: false))
    case .short: return .number(number(width: 2, signed: false))
    case .long: return .number(number(width: 4, signed: false))
    case .longlong, .timestamp: return .number(number(width: 8, signed: false))
    case .shortstr:
      let text = text(lengthWidth: 1)
      if checkingUTF8 && !isUTF8(text) { isMalformed = true }
      return .octets(text)
    case .longstr: return .octets(text(lengthWidth: 4))
    case .table: return .table(table(depth: 0))
    }
  }

  /// Whether `count` octets are left.
  private mutating func require(_ count: Int) -> Bool {
    if end - next < count { isMalformed = true }
    return !isMalformed
  }

  private mutating func bit() -> Bool {
    if bits.isEmpty {
      let octet = number(width: 1, signed: false)
      bits = (0..<8).map { octet >> Int128($0) & 1 == 1 }
    }
    return bits.removeFirst()
  }

  private mutating func text(lengthWidth: Int) -> [UInt8] {
    let count = Int(number(width: lengthWidth, signed: false))
    guard require(count) else { return [] }
    next += count
    return Array(octets[next - count..<next])
  }

  /// Reads what the next length announces, until nothing of it is left.
  private mutating func enclosed(_ readNext: (inout OctetSource) -> Void) {
    let count = Int(number(width: 4, signed: false))
    guard require(count) else { return }
    var inner = self
    inner.end = next + count
    while inner.hasMore { readNext(&inner) }
    isMalformed = inner.isMalformed
    next += count
  }

  private mutating func table(depth: Int) -> [TableField] {
    var fields: [TableField] = []
    enclosed { inner in
      let name = inner.text(lengthWidth: 1)
      fields.append(TableField(name: name, item: inner.item(depth: depth)))
    }
    return fields
  }

  private mutating func item(depth: Int) -> TypedValue {
    let octet = UInt8(number(width: 1, signed: false))
    guard depth < TableCodec.depthLimit, let type = Grammar.fieldTypes[octet] else {
      isMalformed = true
      return TypedValue(type: octet, value: .void)
    }
    let value: TableValue
    switch type.shape {
    case .flag: value = .number(number(width: 1, signed: false) == 0 ? 0 : 1)
    case .signed: value = .number(number(width: type.width, signed: true))
    case .unsigned: value = .number(number(width: type.width, signed: false))
    case .decimal:
      let scale = UInt8(number(width: 1, signed: false))
      value = .decimal(scale: scale, value: UInt32(number(width: 4, signed: false)))
    case .octets: value = .octets(text(lengthWidth: 4))
    case .table: value = .table(table(depth: depth + 1))
    case .array:
      var items: [TypedValue] = []
      enclosed { items.append($0.item(depth: depth + 1)) }
      value = .array(items)
    case .void: value = .void
    }
    return TypedValue(type: type.writtenOctet, value: value)
  }
}

/// Whether octets are UTF-8, by the table of well-formed sequences in the Unicode standard (table 3-7).
func isUTF8(_ octets: [UInt8]) -> Bool {
  var rest = octets[...]
  while let leader = rest.popFirst() {
    let second: ClosedRange<UInt8>
    let continuations: Int
    switch leader {
    case 0x00...0x7F: continue
    case 0xC2...0xDF: (second, continuations) = (0x80...0xBF, 1)
    case 0xE0: (second, continuations) = (0xA0...0xBF, 2)
    case 0xED: (second, continuations) = (0x80...0x9F, 2)
    case 0xE1...0xEF: (second, continuations) = (0x80...0xBF, 2)
    case 0xF0: (second, continuations) = (0x90...0xBF, 3)
    case 0xF1...0xF3: (second, continuations) = (0x80...0xBF, 3)
    case 0xF4: (second, continuations) = (0x80...0x8F, 3)
    default: return false
    }
    guard let next = rest.popFirst(), second.contains(next) else { return false }
    for _ in 1..<continuations {
      guard let next = rest.popFirst(), (0x80...0xBF).contains(next) else { return false }
    }
  }
  return true
}
