import AMQPWire

/// `fanout`: a message goes to every binding. Knows no key.
final class Fanout: ExchangeType {
  let routesByKeyAlone = true
  private var bindings = Bag<Binding>()

  func add(_ binding: Binding) { bindings.insert(binding) }
  func remove(_ binding: Binding) { bindings.remove(binding) }

  // hot:
  func route(_ message: Message, into destinations: Destinations) {
    for binding in bindings.elements { destinations.add(binding) }
  }
}
