import AMQPWire

/// `direct`: a message goes where a binding has its routing key, to the octet. Knows no pattern.
final class Direct: ExchangeType {
  let routesByKeyAlone = true
  private var bindings = OctetMap<ContiguousArray<Binding>>()

  func add(_ binding: Binding) { bindings[binding.key] = (bindings[binding.key] ?? []) + [binding] }

  func remove(_ binding: Binding) {
    guard var left = bindings[binding.key] else { return }
    left.removeAll { $0 === binding }
    bindings[binding.key] = left.isEmpty ? nil : left
  }

  // hot:
  func route(_ message: Message, into destinations: Destinations) {
    message.forEachRoutingKey { key in
      guard let found = bindings[key] else { return }
      for binding in found { destinations.add(binding) }
    }
  }
}

/// The default exchange: every queue is bound to it by its name, and nothing else can be.
final class DefaultExchange: ExchangeType {
  let routesByKeyAlone = true

  func add(_ binding: Binding) {}
  func remove(_ binding: Binding) {}

  // hot:
  func route(_ message: Message, into destinations: Destinations) {
    message.forEachRoutingKey { destinations.add(queueNamed: $0) }
  }
}

extension Message {
  /// The routing key, and those of CC and BCC.
  @inline(__always)
  func forEachRoutingKey(_ body: (UnsafeRawBufferPointer) -> Void) {
    body(routingKey)
    guard let extra = header.extraKeys else { return }
    for key in extra.keys { key.bytes.withUnsafeBytes(body) }
  }
}
