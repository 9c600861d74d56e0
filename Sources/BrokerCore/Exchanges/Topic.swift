import AMQPWire

/// `topic`: keys are words between dots; in a binding `*` stands for one word and `#` for any number of them.
/// Knows no index: that is the trie's.
final class Topic: ExchangeType {
  let routesByKeyAlone = true
  private let trie = TopicTrie()

  func add(_ binding: Binding) { trie.add(binding) }
  func remove(_ binding: Binding) { trie.remove(binding) }

  // hot:
  func route(_ message: Message, into destinations: Destinations) {
    message.forEachRoutingKey { key in trie.match(key) { destinations.add($0) } }
  }
}
