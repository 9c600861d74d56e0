import AMQPWire

/// What a filter changes of a message. Knows no script: the fields come as a table, by the names of the Lua
/// API.
public struct MessageChange {
  private var routingKey: ByteString?
  private var body: ByteString?
  private var headers: FieldTable?
  private var removed: [ByteString] = []
  private var properties = FieldTable()

  /// - Throws: 406 that names the first field that is not one of a message, or has a value that it cannot have
  public init(_ fields: FieldTable) throws(ProtocolError) {
    for (name, value) in fields.fields {
      switch name {
      case "routing_key":
        routingKey = try Self.text(value, name)
      case "body":
        guard let text = value.string else { throw Self.wrong(name, value, "a string") }
        body = text
      case "headers":
        switch value {
        case .table(let table): headers = table
        case .array(let list) where list.isEmpty: headers = FieldTable()
        default: throw Self.wrong(name, value, "a table")
        }
      case "remove":
        removed = try Self.names(value)
      default:
        guard Self.propertyNames.contains(name) else {
          throw ProtocolError(.preconditionFailed, "a message has no field '\(name)' that can be changed")
        }
        properties.append(name, value)
      }
    }
  }

  public static let propertyNames: Set<ByteString> = [
    "content_type", "content_encoding", "delivery_mode", "priority", "correlation_id", "reply_to",
    "expiration", "message_id", "timestamp", "type", "user_id", "app_id",
  ]

  private static func names(_ value: FieldValue) throws(ProtocolError) -> [ByteString] {
    if case .table(let table) = value, table.isEmpty { return [] }  // Lua's empty list is an empty table
    guard case .array(let list) = value else { throw wrong("remove", value, "a list of strings") }
    var names: [ByteString] = []
    for item in list {
      guard let name = item.string else { throw wrong("remove", item, "a list of strings") }
      names.append(name)
    }
    return names
  }

  private static func text(_ value: FieldValue, _ name: ByteString) throws(ProtocolError) -> ByteString {
    guard let text = value.string, text.count <= 255, String(validating: text.bytes, as: UTF8.self) != nil
    else { throw wrong(name, value, "a string of at most 255 bytes") }
    return text
  }

  private static func wrong(_ name: ByteString, _ value: FieldValue, _ expected: String) -> ProtocolError {
    ProtocolError(.preconditionFailed, "field '\(name)' is \(value.shown), expected \(expected)")
  }

  /// The message with the changes.
  /// - Parameters:
  ///   - exchange: another exchange for its envelope
  ///   - routingKey: another key, unless the change names one
  /// - Throws: 406 for a property that cannot have the value
  public func applied(to message: Message, exchange: ByteString? = nil) throws(ProtocolError) -> Message {
    var changed = try BasicProperties(message.properties)
    if headers != nil || !removed.isEmpty {
      var table = changed.headers ?? FieldTable()
      for name in removed { table.removeAll(name) }
      for (name, value) in headers?.fields ?? [] {
        guard name.count <= 255 else {
          throw Self.wrong("headers", .string(name), "names of 255 bytes at most")
        }
        table[name] = value
      }
      changed.headers = table.isEmpty && changed.headers == nil ? nil : table
    }
    for (name, value) in properties.fields { try Self.set(name, value, in: &changed) }
    return try message.with(
      changed, exchange: exchange ?? ByteString(message.exchange),
      routingKey: routingKey ?? ByteString(message.routingKey), body: body)
  }

  private static func set(_ name: ByteString, _ value: FieldValue, in properties: inout BasicProperties)
    throws(ProtocolError)
  {
    let isAbsent = value == .void
    func text() throws(ProtocolError) -> ByteString? { isAbsent ? nil : try Self.text(value, name) }
    func number(_ most: Int64) throws(ProtocolError) -> Int64? {
      if isAbsent { return nil }
      if case .timestamp(let seconds) = value, most > 255 { return Int64(exactly: seconds) }
      guard let number = value.integer, 0...most ~= number else {
        throw wrong(name, value, "an integer of 0 to \(most)")
      }
      return number
    }
    switch name {
    case "content_type": properties.contentType = try text()
    case "content_encoding": properties.contentEncoding = try text()
    case "delivery_mode": properties.deliveryMode = try number(255).map { UInt8($0) }
    case "priority": properties.priority = try number(255).map { UInt8($0) }
    case "correlation_id": properties.correlationID = try text()
    case "reply_to": properties.replyTo = try text()
    case "expiration":
      if let milliseconds = value.integer {
        properties.expiration = ByteString("\(milliseconds)")
      } else {
        properties.expiration = try text()
      }
      if let expiration = properties.expiration { try Expiration.check(expiration) }
    case "message_id": properties.messageID = try text()
    case "timestamp": properties.timestamp = try number(.max).map { UInt64($0) }
    case "type": properties.type = try text()
    case "user_id": properties.userID = try text()
    default: properties.appID = try text()
    }
  }
}

extension Message {
  /// A message of these properties; exchange, key and body are the other's unless they are given.
  public func with(
    _ properties: BasicProperties, exchange: ByteString, routingKey: ByteString, body: ByteString? = nil
  ) throws(ProtocolError) -> Message {
    let made = try Message.make(
      exchange: exchange, routingKey: routingKey, properties: properties,
      bodySize: body?.count ?? self.body.count
    )
    let isWhole =
      if let body { body.withOctets { made.appendBody($0) } } else { made.appendBody(self.body) }
    guard isWhole else { preconditionFailure("a body fits into a message of its size") }
    return made
  }

  /// A message without its body yet; exchange and key have at most 255 octets.
  public static func make(
    exchange: ByteString, routingKey: ByteString, properties: BasicProperties, bodySize: Int
  ) throws(ProtocolError) -> Message {
    var envelope = FieldWriter()
    envelope.put(shortString: exchange)
    envelope.put(shortString: routingKey)
    return try ByteString(properties.octets).withOctets { (octets) throws(ProtocolError) -> Message in
      let index = try PropertyIndex(octets)
      return envelope.bytes.withUnsafeBytes {
        Message.make(envelope: $0, properties: octets, index: index, bodySize: bodySize)
      }
    }
  }
}
