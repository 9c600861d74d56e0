import AMQPWire

/// Topic patterns as a tree of words. Knows no exchange.
///
/// A key is matched word by word, with the set of nodes that are reached so far: what is paid is the
/// number of words times the nodes that match, whatever else is bound. Nothing recurses, and no pattern
/// such as `#.a.#.a.#` makes it try a key in more ways than there are nodes.
public final class TopicTrie {
  private final class Node {
    /// True below a `#`, which takes any further word and stays.
    let isHash: Bool
    var children = OctetMap<Node>()
    var star: Node?
    var hash: Node?
    var bindings = Bag<Binding>()
    /// The step that put this node into the set last.
    var stamp: UInt64 = 0

    init(isHash: Bool = false) { self.isHash = isHash }

    var isEmpty: Bool { bindings.isEmpty && children.isEmpty && star == nil && hash == nil }
  }

  private let root = Node()
  private var stamp: UInt64 = 0
  /// Scratch of `match`: the nodes reached by the words so far, and by one word more.
  private var reached: ContiguousArray<Node> = []
  private var next: ContiguousArray<Node> = []

  #if DEBUG
    /// Nodes reached since the trie was made: what matches cost, for tests that count and do not measure.
    package private(set) var steps = 0
  #endif

  public init() {}

  public var isEmpty: Bool { root.isEmpty }

  /// The words of a key; the empty key has none, "." has two empty ones.
  private static func words(_ key: ByteString) -> [ByteString] {
    guard !key.isEmpty else { return [] }
    return key.bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
      .map { ByteString(Array($0)) }
  }

  public func add(_ binding: Binding) {
    var node = root
    for word in Self.words(binding.key) {
      switch word {
      case "*":
        let child = node.star ?? Node()
        node.star = child
        node = child
      case "#":
        // "#.#" means what "#" means.
        if node.isHash { continue }
        let child = node.hash ?? Node(isHash: true)
        node.hash = child
        node = child
      default:
        let child = node.children[word] ?? Node()
        node.children[word] = child
        node = child
      }
    }
    node.bindings.insert(binding)
  }

  public func remove(_ binding: Binding) {
    var path: [(node: Node, word: ByteString)] = []
    var node = root
    for word in Self.words(binding.key) {
      if word == "#", node.isHash { continue }
      let child =
        switch word {
        case "*": node.star
        case "#": node.hash
        default: node.children[word]
        }
      guard let child else { return }
      path.append((node, word))
      node = child
    }
    node.bindings.remove(binding)
    while node.isEmpty, let (parent, word) = path.popLast() {
      switch word {
      case "*": parent.star = nil
      case "#": parent.hash = nil
      default: parent.children[word] = nil
      }
      node = parent
    }
  }

  // hot:
  public func match(_ key: UnsafeRawBufferPointer, _ found: (Binding) -> Void) {
    stamp &+= 1
    reached.removeAll(keepingCapacity: true)
    reach(root)
    var start = 0
    while start <= key.count, !key.isEmpty {
      var end = start
      while end < key.count, key[end] != UInt8(ascii: ".") { end += 1 }
      step(UnsafeRawBufferPointer(rebasing: key[start..<end]))
      start = end + 1
    }
    for node in reached {
      for binding in node.bindings.elements { found(binding) }
    }
  }

  private func step(_ word: UnsafeRawBufferPointer) {
    swap(&reached, &next)
    reached.removeAll(keepingCapacity: true)
    stamp &+= 1
    for node in next {
      if node.isHash { reach(node) }
      if let child = node.children[word] { reach(child) }
      if let star = node.star { reach(star) }
    }
  }

  /// Puts a node into the set, and with it its `#`, which matches no word at all too.
  private func reach(_ node: Node) {
    guard node.stamp != stamp else { return }
    node.stamp = stamp
    #if DEBUG
      steps += 1
    #endif
    reached.append(node)
    if let hash = node.hash { reach(hash) }
  }
}
