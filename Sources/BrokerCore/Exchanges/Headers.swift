import AMQPWire

/// `headers`: a binding's arguments are matched with the message's headers. Knows no routing key.
///
/// A binding waits under one value that it asks for (all of them where any will do), so that a message
/// looks only at bindings with which it has a header in common.
final class Headers: ExchangeType {
  let routesByKeyAlone = false
  private var rules: [ObjectIdentifier: Rule] = [:]
  private var byField: [Field: ContiguousArray<Rule>] = [:]
  /// Rules that ask for no value: those that hold always, and those that only ask whether a header exists.
  private var others: ContiguousArray<Rule> = []

  func add(_ binding: Binding) throws(ProtocolError) {
    let rule = try Rule(binding)
    rules[ObjectIdentifier(binding)] = rule
    if let fields = rule.index {
      for field in fields { byField[field, default: []].append(rule) }
    } else {
      others.append(rule)
    }
  }

  func remove(_ binding: Binding) {
    guard let rule = rules.removeValue(forKey: ObjectIdentifier(binding)) else { return }
    guard let fields = rule.index else { return others.removeAll { $0 === rule } }
    for field in fields {
      byField[field]?.removeAll { $0 === rule }
      if byField[field]?.isEmpty == true { byField[field] = nil }
    }
  }

  // hot:
  func route(_ message: Message, into destinations: Destinations) {
    let headers = message.headerTable()
    for (name, value) in headers.fields {
      guard let waiting = byField[Field(name: name, value: value.comparable)] else { continue }
      for rule in waiting where rule.matches(headers) { destinations.add(rule.binding) }
    }
    for rule in others where rule.matches(headers) { destinations.add(rule.binding) }
  }
}

/// A header with the value that a rule asks for.
private struct Field: Hashable {
  let name: ByteString
  let value: FieldValue
}

private final class Rule {
  let binding: Binding
  private let needsAll: Bool
  private let values: [Field]
  private let names: [ByteString]

  init(_ binding: Binding) throws(ProtocolError) {
    self.binding = binding
    let match = binding.arguments["x-match"]
    switch match {
    case nil, "all", "all-with-x": needsAll = true
    case "any", "any-with-x": needsAll = false
    case .string(let other)?:
      throw ProtocolError(
        .preconditionFailed,
        "Invalid x-match field value <<\"\(other)\">>; expected all, any, all-with-x, or any-with-x")
    case let other?:
      throw ProtocolError(
        .preconditionFailed,
        "Invalid x-match field type \(other.typeName) (value \(other.shown)); expected longstr")
    }
    let withX = match == "all-with-x" || match == "any-with-x"
    let fields = binding.arguments.fields.filter { name, _ in
      name != "x-match" && (withX || !name.hasPrefix("x-"))
    }
    values = fields.filter { $0.value != .void }.map { Field(name: $0.name, value: $0.value.comparable) }
    names = fields.filter { $0.value == .void }.map(\.name)
  }

  /// Where the rule waits; nil if a message without any of its values may match.
  var index: [Field]? {
    if needsAll { return values.isEmpty ? nil : [values[0]] }
    return names.isEmpty ? values : nil
  }

  func matches(_ headers: FieldTable) -> Bool {
    if needsAll {
      return names.allSatisfy { headers[$0] != nil }
        && values.allSatisfy { headers[$0.name]?.comparable == $0.value }
    }
    return names.contains { headers[$0] != nil }
      || values.contains { headers[$0.name]?.comparable == $0.value }
  }
}

extension FieldValue {
  /// Values that RabbitMQ takes for equal become equal: integers whatever their width, and both kinds of
  /// floating point numbers; but never an integer and a double.
  fileprivate var comparable: FieldValue {
    if let integer { return .int64(integer) }
    if case .float(let number) = self { return .double(Double(number)) }
    return self
  }
}
