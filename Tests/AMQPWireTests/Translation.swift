/// Values of AMQPWire as values of the table codec, and back. Knows no octets.
import AMQPWire

extension TypedValue {
  init(_ value: FieldValue) {
    let table: TableValue =
      switch value {
      case .boolean(let flag): .number(flag ? 1 : 0)
      case .int8(let number): .number(Int128(number))
      case .uint8(let number): .number(Int128(number))
      case .int16(let number): .number(Int128(number))
      case .uint16(let number): .number(Int128(number))
      case .int32(let number): .number(Int128(number))
      case .uint32(let number): .number(Int128(number))
      case .int64(let number): .number(Int128(number))
      case .float(let number): .number(Int128(number.bitPattern))
      case .double(let number): .number(Int128(number.bitPattern))
      case .decimal(let scale, let value): .decimal(scale: scale, value: value)
      case .string(let text), .bytes(let text): .octets(text.bytes)
      case .timestamp(let seconds): .number(Int128(seconds))
      case .table(let fields): TableValue(fields)
      case .array(let values): .array(values.map { TypedValue($0) })
      case .void: .void
      }
    self.init(type: Self.octet(of: value), value: table)
  }

  /// The letters stand here once more, so that `FieldValue.typeOctet` is not believed but compared.
  private static func octet(of value: FieldValue) -> UInt8 {
    let letter: Unicode.Scalar =
      switch value {
      case .boolean: "t"
      case .int8: "b"
      case .uint8: "B"
      case .int16: "s"
      case .uint16: "u"
      case .int32: "I"
      case .uint32: "i"
      case .int64: "l"
      case .float: "f"
      case .double: "d"
      case .decimal: "D"
      case .string: "S"
      case .bytes: "x"
      case .timestamp: "T"
      case .table: "F"
      case .array: "A"
      case .void: "V"
      }
    return UInt8(ascii: letter)
  }
}

extension TableField {
  init(_ field: (name: ByteString, value: FieldValue)) {
    self.init(name: field.name.bytes, item: TypedValue(field.value))
  }
}

extension TableValue {
  init(_ table: FieldTable) { self = .table(table.fields.map { TableField($0) }) }

  /// A stored property of a method or of the properties.
  init(reflecting value: Any) {
    switch value {
    case let flag as Bool: self = .number(flag ? 1 : 0)
    case let number as UInt8: self = .number(Int128(number))
    case let number as UInt16: self = .number(Int128(number))
    case let number as UInt32: self = .number(Int128(number))
    case let number as UInt64: self = .number(Int128(number))
    case let text as ByteString: self = .octets(text.bytes)
    case let table as FieldTable: self = TableValue(table)
    default: preconditionFailure("\(type(of: value)) is no type of the grammar")
    }
  }

  var number: Int128? { if case .number(let number) = self { number } else { nil } }
  var octets: [UInt8]? { if case .octets(let octets) = self { octets } else { nil } }
  var fields: [TableField]? { if case .table(let fields) = self { fields } else { nil } }
}

extension FieldTable {
  init(_ fields: [TableField]) {
    self.init()
    for field in fields { append(ByteString(field.name), FieldValue(field.item)) }
  }
}

extension FieldValue {
  init(_ item: TypedValue) {
    switch (Unicode.Scalar(item.type), item.value) {
    case ("t", .number(let number)): self = .boolean(number != 0)
    case ("b", .number(let number)): self = .int8(Int8(number))
    case ("B", .number(let number)): self = .uint8(UInt8(number))
    case ("s", .number(let number)): self = .int16(Int16(number))
    case ("u", .number(let number)): self = .uint16(UInt16(number))
    case ("I", .number(let number)): self = .int32(Int32(number))
    case ("i", .number(let number)): self = .uint32(UInt32(number))
    case ("l", .number(let number)): self = .int64(Int64(number))
    case ("f", .number(let number)): self = .float(Float(bitPattern: UInt32(number)))
    case ("d", .number(let number)): self = .double(Double(bitPattern: UInt64(number)))
    case ("D", .decimal(let scale, let value)): self = .decimal(scale: scale, value: value)
    case ("S", .octets(let text)): self = .string(ByteString(text))
    case ("x", .octets(let text)): self = .bytes(ByteString(text))
    case ("T", .number(let number)): self = .timestamp(UInt64(number))
    case ("F", .table(let fields)): self = .table(FieldTable(fields))
    case ("A", .array(let items)): self = .array(items.map { FieldValue($0) })
    case ("V", .void): self = .void
    default: preconditionFailure("\(item) is of no type")
    }
  }
}

/// What a method shows of itself to reflection: its stored properties in order.
func fields(of method: any Method) -> [(name: String, value: TableValue)] {
  Mirror(reflecting: method).children.map { ($0.label ?? "", TableValue(reflecting: $0.value)) }
}

/// Fills a method's fields with given values and notes in which order, and as which types, they came.
struct FieldFiller: FieldVisitor {
  private(set) var shapes: [GrammarField.Shape] = []
  private var values: ArraySlice<TableValue>

  init(_ values: [TableValue]) { self.values = values[...] }

  private mutating func next(_ shape: GrammarField.Shape) -> TableValue? {
    shapes.append(shape)
    return values.popFirst()
  }

  mutating func bit(_ value: inout Bool) { if let new = next(.bit)?.number { value = new != 0 } }
  mutating func octet(_ value: inout UInt8) { if let new = next(.octet)?.number { value = UInt8(new) } }
  mutating func short(_ value: inout UInt16) { if let new = next(.short)?.number { value = UInt16(new) } }
  mutating func long(_ value: inout UInt32) { if let new = next(.long)?.number { value = UInt32(new) } }
  mutating func longLong(_ value: inout UInt64) {
    if let new = next(.longlong)?.number { value = UInt64(new) }
  }
  mutating func shortString(_ value: inout ByteString) {
    if let new = next(.shortstr)?.octets { value = ByteString(new) }
  }
  mutating func longString(_ value: inout ByteString) {
    if let new = next(.longstr)?.octets { value = ByteString(new) }
  }
  mutating func table(_ value: inout FieldTable) {
    if let new = next(.table)?.fields { value = FieldTable(new) }
  }
}
