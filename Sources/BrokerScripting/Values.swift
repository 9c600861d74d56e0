/// Values between the core's field tables and scripts. Knows no hook.

internal import AMQPWire
internal import LuaRuntime

extension LuaValue {
  init(_ value: FieldValue) {
    switch value {
    case .boolean(let flag): self = .boolean(flag)
    case .float(let number): self = .number(Double(number))
    case .double(let number): self = .number(number)
    case .decimal(let scale, let value):
      var number = Double(value)
      for _ in 0..<scale { number /= 10 }
      self = .number(number)
    case .string(let octets), .bytes(let octets): self = LuaValue(octets)
    case .timestamp(let seconds): self = .timestamp(Int64(clamping: seconds))
    case .table(let table): self = LuaValue(table)
    case .array(let values): self = .list(values.map { LuaValue($0) })
    case .void: self = .null
    default: self = .integer(value.integer ?? 0)
    }
  }

  init(_ table: FieldTable) {
    var fields: [String: LuaValue] = [:]
    for (name, value) in table.fields where fields[name.text] == nil { fields[name.text] = LuaValue(value) }
    self = .table(fields)
  }

  init(_ octets: ByteString) {
    self = String(validating: octets.bytes, as: UTF8.self).map { .text($0) } ?? .bytes(octets.bytes)
  }

  /// The octets of a string, whatever they hold.
  var octets: ByteString? {
    switch self {
    case .text(let text): ByteString(text)
    case .bytes(let bytes): ByteString(bytes)
    default: nil
    }
  }

  var text: String? { if case .text(let text) = self { text } else { nil } }

  var fieldValue: FieldValue {
    switch self {
    case .null, .function: .void
    case .boolean(let flag): .boolean(flag)
    case .integer(let number): .int64(number)
    case .number(let number): .double(number)
    case .text(let text): .string(ByteString(text))
    case .bytes(let bytes): .string(ByteString(bytes))
    case .list(let items): .array(items.map(\.fieldValue))
    case .table(let fields): .table(FieldTable(fields))
    case .timestamp(let seconds): .timestamp(UInt64(clamping: seconds))
    }
  }
}

extension FieldTable {
  /// In the order of the names, so that equal tables give equal octets.
  init(_ fields: [String: LuaValue]) {
    self.init()
    for (name, value) in fields.sorted(by: { $0.key < $1.key }) {
      append(ByteString(name), value.fieldValue)
    }
  }

  /// The fields without the table's length.
  var content: [UInt8] {
    guard !isEmpty else { return [] }
    var writer = FieldWriter()
    writer.put(table: self)
    return Array(writer.bytes.dropFirst(4))
  }
}
