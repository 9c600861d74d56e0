import AMQPWire

/// `direct`: a message goes where a binding has its routing key, to the octet. Knows no pattern.
final class Direct: ExchangeType {
  let routesByKeyAlone = true
  private var bindings = OctetMap<Bag<Binding>>()

  func add(_ binding: Binding) { bindings.update(binding.key, default: Bag()) { $0.insert(binding) } }

  func remove(_ binding: Binding) {
    let left = bindings.update(binding.key, default: Bag()) { bag in
      bag.remove(binding)
      return bag.count
    }
    if left == 0 { bindings[binding.key] = nil }
  }

  // hot:
  func route(_ message: Message, into destinations: Destinations) {
    message.forEachRoutingKey { key in
      guard let found = bindings[key] else { return }
      for binding in found.elements { destinations.add(binding) }
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
