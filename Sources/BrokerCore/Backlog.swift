import DequeModule
import HeapModule

/// The messages of a queue that are ready, in order. Knows no consumer.
///
/// Each message has a position, given when it came and kept for good, so that one that returns goes back to
/// exactly where it was: those that returned stand in a heap, and the next message is the smaller of the
/// heap's and the line's.
struct Backlog {
  private var line = Deque<QueuedMessage>()
  private var returned = Heap<QueuedMessage>()

  var count: Int { line.count + returned.count }
  var isEmpty: Bool { line.isEmpty && returned.isEmpty }

  // hot:
  mutating func append(_ queued: QueuedMessage) { line.append(queued) }

  mutating func putBack(_ queued: QueuedMessage) { returned.insert(queued) }

  // hot:
  mutating func popFirst() -> QueuedMessage? {
    guard let back = returned.min else { return line.popFirst() }
    if let front = line.first, front.position < back.position { return line.popFirst() }
    return returned.popMin()
  }

  mutating func removeAll() {
    line.removeAll()
    returned = Heap()
  }
}

/// A message in one queue.
public struct QueuedMessage: Comparable {
  public let message: Message
  /// Grows with each message of a queue; never given twice.
  public let position: UInt64
  public var redelivered = false
  /// A filter failed on it once.
  var filterFailed = false

  public static func == (left: QueuedMessage, right: QueuedMessage) -> Bool {
    left.position == right.position
  }
  public static func < (left: QueuedMessage, right: QueuedMessage) -> Bool { left.position < right.position }
}
