/// Field tables: named values in order, as arguments and headers carry them. Knows nothing of octets.

/// A value of a field table, of one of the types that RabbitMQ knows.
public enum FieldValue: Hashable, Sendable {
  case boolean(Bool)
  case int8(Int8)
  case uint8(UInt8)
  case int16(Int16)
  case uint16(UInt16)
  case int32(Int32)
  case uint32(UInt32)
  case int64(Int64)
  case float(Float)
  case double(Double)
  /// `value` divided by 10 to the power of `scale`.
  case decimal(scale: UInt8, value: UInt32)
  case string(ByteString)
  case bytes(ByteString)
  /// Seconds since 1970.
  case timestamp(UInt64)
  case table(FieldTable)
  case array([FieldValue])
  case void

  /// The octet that stands before the value on the wire.
  public var typeOctet: UInt8 {
    switch self {
    case .boolean: UInt8(ascii: "t")
    case .int8: UInt8(ascii: "b")
    case .uint8: UInt8(ascii: "B")
    case .int16: UInt8(ascii: "s")
    case .uint16: UInt8(ascii: "u")
    case .int32: UInt8(ascii: "I")
    case .uint32: UInt8(ascii: "i")
    case .int64: UInt8(ascii: "l")
    case .float: UInt8(ascii: "f")
    case .double: UInt8(ascii: "d")
    case .decimal: UInt8(ascii: "D")
    case .string: UInt8(ascii: "S")
    case .bytes: UInt8(ascii: "x")
    case .timestamp: UInt8(ascii: "T")
    case .table: UInt8(ascii: "F")
    case .array: UInt8(ascii: "A")
    case .void: UInt8(ascii: "V")
    }
  }

  /// The type's name as RabbitMQ's error texts give it.
  public var typeName: String {
    switch self {
    case .boolean: "bool"
    case .int8: "byte"
    case .uint8: "unsignedbyte"
    case .int16: "short"
    case .uint16: "unsignedshort"
    case .int32: "signedint"
    case .uint32: "unsignedint"
    case .int64: "long"
    case .float: "float"
    case .double: "double"
    case .decimal: "decimal"
    case .string: "longstr"
    case .bytes: "binary"
    case .timestamp: "timestamp"
    case .table: "table"
    case .array: "array"
    case .void: "void"
    }
  }

  /// The number that the value holds, whatever its integer type; nil for all else.
  public var integer: Int64? {
    switch self {
    case .int8(let number): Int64(number)
    case .uint8(let number): Int64(number)
    case .int16(let number): Int64(number)
    case .uint16(let number): Int64(number)
    case .int32(let number): Int64(number)
    case .uint32(let number): Int64(number)
    case .int64(let number): number
    default: nil
    }
  }

  public var string: ByteString? {
    if case .string(let octets) = self { octets } else { nil }
  }
}

/// Names with values, in the order in which they came; a name may stand twice, as RabbitMQ allows.
public struct FieldTable: Hashable, Sendable {
  public private(set) var fields: [(name: ByteString, value: FieldValue)] = []

  public init() {}

  public var isEmpty: Bool { fields.isEmpty }
  public var count: Int { fields.count }

  /// The first value of that name. Setting replaces it, appends it, or with nil takes it out.
  public subscript(name: ByteString) -> FieldValue? {
    get { fields.first { $0.name == name }?.value }
    set {
      let index = fields.firstIndex { $0.name == name }
      switch (index, newValue) {
      case (let index?, let value?): fields[index].value = value
      case (let index?, nil): fields.remove(at: index)
      case (nil, let value?): fields.append((name, value))
      case (nil, nil): break
      }
    }
  }

  public mutating func removeAll(_ name: ByteString) { fields.removeAll { $0.name == name } }

  public mutating func append(_ name: ByteString, _ value: FieldValue) { fields.append((name, value)) }

  public static func == (left: FieldTable, right: FieldTable) -> Bool {
    left.fields.elementsEqual(right.fields) { $0.name == $1.name && $0.value == $1.value }
  }

  public func hash(into hasher: inout Hasher) {
    for field in fields {
      hasher.combine(field.name)
      hasher.combine(field.value)
    }
  }
}

extension FieldTable: ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral elements: (ByteString, FieldValue)...) {
    for (name, value) in elements { append(name, value) }
  }
}

extension FieldValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral {
  public init(stringLiteral text: String) { self = .string(ByteString(text)) }
  public init(booleanLiteral flag: Bool) { self = .boolean(flag) }
  public init(integerLiteral number: Int64) { self = .int64(number) }
}
