import AMQPWire

/// What a second declaration may differ in, and what RabbitMQ says where it may not. Knows no wire.

extension Exchange {
  /// - Throws: 406 that names the first property that differs.
  func expectEqual(to wanted: ExchangeDefinition) throws(ProtocolError) {
    let me = vhost.describedExchange(name)
    try expectSame("type", "\(wanted.type)", "\(typeName)", of: me)
    try expectSame("durable", "\(wanted.durable)", "\(durable)", of: me)
    try expectSame("auto_delete", "\(wanted.autoDelete)", "\(autoDelete)", of: me)
    try expectSame("internal", "\(wanted.isInternal)", "\(isInternal)", of: me)
    try expectSameArgument("alternate-exchange", wanted.arguments, arguments, of: me)
  }
}

extension Queue {
  public var isLocked: ProtocolError {
    ProtocolError(
      .resourceLocked,
      "cannot obtain exclusive access to locked \(described). It could be originally declared on another "
        + "connection or the exclusive property value does not match that of the original declaration.")
  }

  /// - Throws: 405 for another owner, 406 that names the first property that differs.
  func expectEqual(to wanted: QueueDefinition) throws(ProtocolError) {
    guard owner == wanted.owner else { throw isLocked }
    try expectSame("durable", "\(wanted.durable && wanted.owner == nil)", "\(durable)", of: described)
    try expectSame("auto_delete", "\(wanted.autoDelete)", "\(autoDelete)", of: described)
    for argument in QueueArgument.all where argument.types.contains(type) {
      try expectSameArgument(argument.name, wanted.arguments, arguments, of: described)
    }
  }
}

private func expectSame(_ what: String, _ wanted: String, _ current: String, of thing: String)
  throws(ProtocolError)
{
  guard wanted == current else {
    throw ProtocolError(
      .preconditionFailed,
      "inequivalent arg '\(what)' for \(thing): received '\(wanted)' but current is '\(current)'")
  }
}

/// Integers are equal by value, whatever their width; a missing `x-queue-type` is "classic".
private func expectSameArgument(
  _ name: ByteString, _ wanted: FieldTable, _ current: FieldTable, of thing: String
) throws(ProtocolError) {
  let (new, old) = (wanted[name], current[name])
  if new == old { return }
  switch (new, old) {
  case (let new?, let old?):
    if let left = new.whole, left == old.whole { return }
    throw ProtocolError(
      .preconditionFailed,
      "inequivalent arg '\(name)' for \(thing): received '\(new.shown)' but current is '\(old.shown)'")
  default:
    if name == "x-queue-type", (new ?? old) == "classic" { return }
    func told(_ value: FieldValue?) -> String {
      guard let value else { return "none" }
      return "the value '\(value.shown)' of type '\(value.typeName)'"
    }
    throw ProtocolError(
      .preconditionFailed,
      "inequivalent arg '\(name)' for \(thing): received \(told(new)) but current is \(told(old))")
  }
}

extension FieldValue {
  /// An integer or a timestamp, which RabbitMQ holds for equal.
  fileprivate var whole: Int64? {
    if case .timestamp(let seconds) = self { Int64(exactly: seconds) } else { integer }
  }

  /// The value as an error text shows it.
  public var shown: String {
    switch self {
    case .boolean(let flag): "\(flag)"
    case .float(let number): "\(number)"
    case .double(let number): "\(number)"
    case .decimal(let scale, let number): "{\(scale),\(number)}"
    case .string(let octets), .bytes(let octets): octets.text
    case .timestamp(let seconds): "\(seconds)"
    case .table(let table):
      "{" + table.fields.map { "\($0.name)=\($0.value.shown)" }.joined(separator: ",") + "}"
    case .array(let values): "[" + values.map(\.shown).joined(separator: ",") + "]"
    case .void: "undefined"
    default: integer.map { "\($0)" } ?? ""
    }
  }
}
