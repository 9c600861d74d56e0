import AMQPWire

/// Virtual hosts, users, policies, exchanges, queues and bindings as the store keeps them: what makes a broker again what it was.
/// Knows no store's files.
///
///     key:    kind, virtual host as a short string, then a name as octets, or a binding's number (8 octets)
///     value:  a field table, without its length
struct Definition {
  let kind: Kind
  let vhost: ByteString
  let name: ByteString
  let fields: FieldTable

  /// - Throws: if it is none that this version can read
  init(_ key: [UInt8], _ value: [UInt8]) throws(StoreError) {
    guard key.count >= 2, let kind = Kind(rawValue: key[0]), key.count >= 2 + Int(key[1]),
      let fields = value.withUnsafeBytes({ try? FieldReader.fields(of: $0) })
    else { throw StoreError("a definition cannot be read: key \(key.prefix(64)), \(value.count) octets") }
    let end = 2 + Int(key[1])
    self.kind = kind
    vhost = ByteString(Array(key[2..<end]))
    name = ByteString(Array(key[end...]))
    self.fields = fields
  }

  /// A queue's in the store, by priority.
  /// - Throws: if there are none
  func numbers() throws(StoreError) -> [UInt64] {
    var numbers: [UInt64] = []
    if case .array(let values)? = fields["numbers"] {
      for case let number? in values.map(\.integer) where number > 0 && number <= Broker.mostNumber {
        numbers.append(UInt64(number))
      }
      if !numbers.isEmpty, numbers.count == values.count { return numbers }
    }
    throw StoreError("damaged: the definition of '\(name)' has no numbers")
  }

  static func numbers(_ numbers: [UInt64]) -> FieldValue {
    .array(numbers.map { .int64(Int64(clamping: $0)) })
  }

  enum Kind: UInt8 {
    // In the order in which they are recovered.
    case virtualHost = 0x76  // v
    case user = 0x75  // u
    case policy = 0x70  // p
    case operatorPolicy = 0x6F  // o
    case exchange = 0x65  // e
    case queue = 0x71  // q
    case segment = 0x73  // s
    case binding = 0x62  // b

    var isInVirtualHost: Bool { self == .exchange || self == .queue || self == .binding }
  }

  static func key(_ kind: Kind, _ vhost: ByteString, _ name: [UInt8] = []) -> [UInt8] {
    var writer = FieldWriter()
    writer.put(kind.rawValue)
    writer.put(shortString: vhost)
    return writer.bytes + name
  }

  static func value(_ table: FieldTable) -> [UInt8] {
    var writer = FieldWriter()
    writer.put(table: table)
    return Array(writer.bytes.dropFirst(4))
  }

}

extension Exchange {
  var definitionKey: [UInt8] { Definition.key(.exchange, vhost.name, name.bytes) }

  var definition: [UInt8] {
    Definition.value([
      "type": .string(typeName), "auto_delete": .boolean(autoDelete), "internal": .boolean(isInternal),
      "arguments": .table(arguments),
    ])
  }
}

extension ExchangeDefinition {
  init?(name: ByteString, recovered fields: FieldTable) {
    guard let type = fields["type"]?.string, case .table(let arguments)? = fields["arguments"] else {
      return nil
    }
    self.init(
      name: name, type: type, durable: true, autoDelete: fields["auto_delete"] == true,
      isInternal: fields["internal"] == true, arguments: arguments)
  }
}

extension Queue {
  var definitionKey: [UInt8] { Definition.key(.queue, vhost.name, name.bytes) }

  func definition(numbers: [UInt64]) -> [UInt8] {
    Definition.value([
      "numbers": Definition.numbers(numbers), "auto_delete": .boolean(autoDelete),
      "arguments": .table(arguments),
    ])
  }
}

extension QueueDefinition {
  init?(name: ByteString, recovered fields: FieldTable) {
    guard case .table(let arguments)? = fields["arguments"] else { return nil }
    self.init(
      name: name, durable: true, autoDelete: fields["auto_delete"] == true, arguments: arguments)
  }
}

extension Binding {
  /// Both of its ends outlive a restart.
  public var isDurable: Bool {
    guard source.durable else { return false }
    return switch destination {
    case .queue(let queue): queue.durable
    case .exchange(let exchange): exchange.durable
    }
  }

  var definitionKey: [UInt8] {
    Definition.key(.binding, source.vhost.name, withUnsafeBytes(of: sequence.bigEndian) { Array($0) })
  }

  var definition: [UInt8] {
    var toQueue = false
    if case .queue = destination { toQueue = true }
    return Definition.value([
      "source": .string(source.name), "destination": .string(destination.name), "to_queue": .boolean(toQueue),
      "key": .string(key), "arguments": .table(arguments),
    ])
  }
}
