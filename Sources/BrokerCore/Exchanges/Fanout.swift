import AMQPWire

/// `fanout`: a message goes to every binding. Knows no key.
final class Fanout: ExchangeType {
  let routesByKeyAlone = true
  /// Where each binding stands, so that one of many goes without a search.
  private var places: [ObjectIdentifier: Int] = [:]
  private var bindings: ContiguousArray<Binding> = []

  func add(_ binding: Binding) {
    places[ObjectIdentifier(binding)] = bindings.count
    bindings.append(binding)
  }

  func remove(_ binding: Binding) {
    guard let place = places.removeValue(forKey: ObjectIdentifier(binding)), let last = bindings.popLast(),
      last !== binding
    else { return }
    bindings[place] = last
    places[ObjectIdentifier(last)] = place
  }

  // hot:
  func route(_ message: Message, into destinations: Destinations) {
    for binding in bindings { destinations.add(binding) }
  }
}
