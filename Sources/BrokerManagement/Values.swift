/// AMQP's values in JSON, and JSON's in AMQP, as RabbitMQ's API has them. Knows no path.

internal import AMQPWire
internal import BrokerCore
internal import LuaRuntime

extension LuaValue {
  /// A timestamp is a number, octets that are no UTF-8 are shown as what they are not.
  init(json value: FieldValue) {
    switch value {
    case .boolean(let flag): self = .boolean(flag)
    case .float(let number): self = .number(Double(number))
    case .double(let number): self = .number(number)
    case .decimal(let scale, let value):
      self = .number((0..<scale).reduce(Double(value)) { number, _ in number / 10 })
    case .string(let octets), .bytes(let octets): self = .text(octets.text)
    case .timestamp(let seconds): self = .integer(Int64(clamping: seconds))
    case .table(let table): self = LuaValue(json: table)
    case .array(let values): self = .list(values.map { LuaValue(json: $0) })
    case .void: self = .null
    default: self = .integer(value.integer ?? 0)
    }
  }

  init(json table: FieldTable) {
    var fields: [String: LuaValue] = [:]
    for (name, value) in table.fields where fields[name.text] == nil {
      fields[name.text] = LuaValue(json: value)
    }
    self = .table(fields)
  }

  init(json name: ByteString) { self = .text(name.text) }

  var text: String? { if case .text(let text) = self { text } else { nil } }

  var amqp: FieldValue {
    switch self {
    case .null, .function: .void
    case .boolean(let flag): .boolean(flag)
    case .integer(let number): .int64(number)
    case .number(let number): .double(number)
    case .text(let text): .string(ByteString(text))
    case .bytes(let octets): .string(ByteString(octets))
    case .list(let items): .array(items.map(\.amqp))
    case .table(let fields): .table(FieldTable(json: fields))
    case .timestamp(let seconds): .timestamp(UInt64(clamping: seconds))
    }
  }
}

extension FieldTable {
  /// In the order of the names, so that equal tables give equal octets.
  init(json fields: [String: LuaValue]) {
    self.init()
    for (name, value) in fields.sorted(by: { $0.key < $1.key }) { append(ByteString(name), value.amqp) }
  }
}

extension Fields {
  /// A word, a flag or a number that the API takes in more than one form.
  func flag(_ name: String) throws(Refusal) -> Bool? {
    switch self[name] {
    case nil, .null?: return nil
    case .boolean(let flag)?: return flag
    case .text("true")?: return true
    case .text("false")?: return false
    case let value?: throw .badRequest("\(name): \(value.shown), expected true or false")
    }
  }

  func text(_ name: String) throws(Refusal) -> String? {
    switch self[name] {
    case nil, .null?: return nil
    case .text(let text)?: return text
    case let value?: throw .badRequest("\(name): \(value.shown), expected a string")
    }
  }

  func arguments(_ name: String = "arguments") throws(Refusal) -> FieldTable {
    FieldTable(json: try table(name) ?? [:])
  }

  /// An object; RabbitMQ exports some as lists of pairs.
  func pairs(_ name: String) throws(Refusal) -> [String: LuaValue]? {
    guard case .list(let items)? = self[name] else { return try table(name) }
    var fields: [String: LuaValue] = [:]
    for item in items {
      guard case .list(let pair) = item, pair.count == 2, let key = pair[0].text else {
        throw .badRequest("\(name): \(item.shown), expected a name and a value")
      }
      fields[key] = pair[1]
    }
    return fields
  }

  /// Tags, as a list or as words with commas between them.
  func words(_ name: String) throws(Refusal) -> [String]? {
    switch self[name] {
    case nil, .null?: return nil
    case .text(let text)?:
      return text.split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
    case .list(let items)?: return items.compactMap(\.text)
    case let value?: throw .badRequest("\(name): \(value.shown), expected a list of strings")
    }
  }
}
