import HeapModule

/// Messages that the store alone has and that are wanted again: by position, until a page brings them. Others may
/// wait among them for their turn. Knows no queue.
struct Away {
  private var messages = Heap<QueuedMessage>()

  var count: Int { messages.count }
  // hot:
  var isEmpty: Bool { messages.isEmpty }
  var first: QueuedMessage? { messages.min }
  var all: [QueuedMessage] { messages.unordered }

  /// From the first to the last of them, nil if there is none.
  var positions: Range<UInt64>? {
    guard let first = messages.min, let last = messages.max else { return nil }
    return first.position..<last.position + 1
  }

  mutating func insert(_ queued: QueuedMessage) { messages.insert(queued) }

  /// Takes out what a page of these positions has brought, and what it should have.
  /// - Returns: each as it was, with its message if there is one
  mutating func take(
    _ read: StorePageRead, of positions: Range<UInt64>
  ) -> [(away: QueuedMessage, message: Message?)] {
    var taken: [(away: QueuedMessage, message: Message?)] = []
    // What has come since the page was asked for, and is before it, waits for the next one.
    var before: [QueuedMessage] = []
    while let early = removeFirst(below: positions.lowerBound) { before.append(early) }
    defer { for early in before { messages.insert(early) } }
    for record in read.records {
      while let other = removeFirst(below: record.position) { taken.append((other, other.present)) }
      guard let back = removeFirst(below: record.position + 1) else { continue }
      record.message.header.sharedBody = record.sharedBody
      taken.append((back, back.present ?? record.message))
    }
    let end = read.reachedEnd ? positions.upperBound : 0
    while let other = removeFirst(below: end) { taken.append((other, other.present)) }
    while let other = messages.min?.present { taken.append((messages.removeMin(), other)) }
    return taken
  }

  private mutating func removeFirst(below position: UInt64) -> QueuedMessage? {
    guard let first = messages.min, first.position < position else { return nil }
    return messages.removeMin()
  }
}
