/// Which positions of a queue are still wanted: all from its head on, but for those that went before their time.
/// Knows no message.
///
/// Mostly a queue loses its first message, and the head moves on. What goes out of turn stands in `gone` until the
/// head comes by: as ranges, so that one message that nobody acknowledges costs one range and not a million
/// numbers.
struct Frontier {
  /// Nothing below it is wanted.
  private(set) var head: UInt64
  /// Above the head, in order, with something between each two.
  private var gone: [Range<UInt64>] = []

  init(head: UInt64 = 1) { self.head = head }

  // hot:
  mutating func remove(_ position: UInt64) {
    if position == head, gone.isEmpty {
      head += 1
    } else {
      remove(position..<position + 1)
    }
  }

  mutating func remove(_ range: Range<UInt64>) {
    let range = max(range.lowerBound, head)..<max(range.upperBound, head)
    guard !range.isEmpty else { return }
    if range.lowerBound == head {
      head = range.upperBound
      return catchUp()
    }
    if let last = gone.last, last.upperBound < range.lowerBound { return gone.append(range) }
    // The first that touches it or lies behind it.
    var low = 0
    var high = gone.count
    while low < high {
      let middle = (low + high) / 2
      if gone[middle].upperBound < range.lowerBound { low = middle + 1 } else { high = middle }
    }
    var end = low
    var merged = range
    while end < gone.count, gone[end].lowerBound <= range.upperBound {
      merged = min(merged.lowerBound, gone[end].lowerBound)..<max(merged.upperBound, gone[end].upperBound)
      end += 1
    }
    gone.replaceSubrange(low..<end, with: CollectionOfOne(merged))
  }

  /// The head has moved: what it has reached is behind it now.
  private mutating func catchUp() {
    var passed = 0
    while passed < gone.count, gone[passed].lowerBound <= head {
      head = max(head, gone[passed].upperBound)
      passed += 1
    }
    gone.removeFirst(passed)
  }
}
