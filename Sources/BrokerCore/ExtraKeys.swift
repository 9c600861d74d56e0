import AMQPWire

/// The routing keys that the headers CC and BCC add to a message, an extension of RabbitMQ
/// (https://www.rabbitmq.com/docs/sender-selected). Knows no exchange.
public final class ExtraKeys {
  public let keys: [ByteString]

  init(_ keys: [ByteString]) { self.keys = keys }
}

extension Message {
  /// This message, or if its headers carry CC or BCC, one that goes to those keys too and does not show BCC.
  /// - Throws: 406 if one of them is not an array of strings
  public func withExtraKeys() throws(ProtocolError) -> Message {
    guard headers.holdsCC else { return self }
    let table = headerTable()
    let extra = try table.keys(in: "CC") + table.keys(in: "BCC")
    guard table["CC"] != nil || table["BCC"] != nil else { return self }
    let message = table["BCC"] == nil ? self : try withoutHeader("BCC")
    message.header.extraKeys = ExtraKeys(extra)
    return message
  }

  private func withoutHeader(_ name: ByteString) throws(ProtocolError) -> Message {
    var changed = try BasicProperties(properties)
    changed.headers?.removeAll(name)
    return try withProperties(changed)
  }

  /// The same exchange, routing key and body under other properties.
  public func withProperties(_ changed: BasicProperties) throws(ProtocolError) -> Message {
    let copy = try ByteString(changed.octets).withOctets { (octets) throws(ProtocolError) -> Message in
      Message.make(
        envelope: envelope, properties: octets, index: try PropertyIndex(octets), bodySize: body.count)
    }
    guard copy.appendBody(body) else { preconditionFailure("a body fits into a message of its size") }
    return copy
  }
}

extension UnsafeRawBufferPointer {
  /// Whether "CC" stands anywhere in a table's octets: where it does not, nobody needs to read the table.
  // hot:
  fileprivate var holdsCC: Bool {
    var last: UInt8 = 0
    for octet in self {
      if octet == UInt8(ascii: "C"), last == octet { return true }
      last = octet
    }
    return false
  }
}

extension FieldTable {
  fileprivate func keys(in name: ByteString) throws(ProtocolError) -> [ByteString] {
    guard let value = self[name] else { return [] }
    guard case .array(let values) = value else {
      throw ProtocolError(
        .preconditionFailed, "invalid message: {unacceptable_type_in_header,\"\(name)\",\(value.typeName)}")
    }
    // What is not a string in the array is passed over, as in RabbitMQ; so is what is longer than any routing
    // key, which a pattern would be tried on word by word.
    return values.compactMap(\.string).filter { $0.count <= 255 }
  }
}
