/// How much memory the messages take that wait in queues. Knows no queue's inside.
///
/// A queue may hold so much; all together may hold so much; and each may hold a little whatever the others hold.
/// What is beyond waits in the store, if there is one.
public final class Ledger {
  private let queueMost: Int
  private let most: Int
  /// What a queue may hold in memory when all is taken: 256 KiB, a page that is being delivered.
  static let least = 262_144
  /// What a message takes beside its octets: its object, and its places in queues.
  static let overhead = 128
  public private(set) var octets = 0

  init(_ settings: Settings) {
    queueMost = settings.queueMemoryMaximum
    most = settings.memoryMaximum
  }

  /// Whether a queue that holds so much may hold more.
  // hot:
  func allows(_ held: Int) -> Bool { held < queueMost && (octets < most || held < Self.least) }

  // hot:
  func add(_ count: Int) { octets += count }
}

extension Message {
  /// Octets of memory.
  // hot:
  var weight: Int { header.bodyCount + Ledger.overhead }
}
