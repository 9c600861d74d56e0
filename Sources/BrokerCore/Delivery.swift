import AMQPWire
import DequeModule

/// What one channel was given and has not settled. Knows no socket.

/// A message that a channel holds unacknowledged.
public struct Delivery {
  public let tag: UInt64
  public fileprivate(set) var queued: QueuedMessage
  /// Nil only inside `Deliveries`, where it marks a settled one that still holds a place. For `basic.get`
  /// a consumer of its own that is in no queue's list.
  public fileprivate(set) var consumer: Consumer?
  /// Came through a consumer, and so counts towards the channel's limit.
  fileprivate let isLimited: Bool
  public var queue: Queue? { consumer?.queue }

  init(tag: UInt64, queued: QueuedMessage, consumer: Consumer, limited: Bool) {
    self.tag = tag
    self.queued = queued
    self.consumer = consumer
    isLimited = limited
  }
}

public enum Settlement: Sendable {
  case acknowledged
  case rejected(requeue: Bool)
  /// Whoever held it is gone.
  case abandoned
}

public final class Deliveries {
  /// In the order of their tags. Settled ones in the middle stay as gaps until they are the most.
  private var entries = Deque<Delivery>()
  private var gaps = 0
  /// `basic.qos` with global: how many unsettled messages all consumers of the channel may share; 0 is no
  /// limit.
  public private(set) var limit = 0
  /// Unsettled messages that came through consumers.
  private var limited = 0
  /// Up to this tag memory has let go of what it could.
  private var letGoUpTo: UInt64 = 0

  public init() {}

  public var count: Int { entries.count - gaps }
  /// The first is never a gap.
  public var oldest: Delivery? { entries.first }
  /// Of the delivery that was made last.
  public private(set) var lastTag: UInt64 = 0

  // hot:
  var hasCredit: Bool { limit == 0 || limited < limit }

  // hot:
  func nextTag() -> UInt64 {
    lastTag += 1
    return lastTag
  }

  // hot:
  func append(_ delivery: Delivery) {
    if delivery.isLimited { limited += 1 }
    entries.append(delivery)
    if delivery.queued.ticket != 0, let queue = delivery.queue, queue.lendsTooMuch { letGo() }
  }

  /// Looks at two, so that it catches up with what comes.
  private func letGo() {
    for _ in 0..<2 {
      guard let place = place(from: letGoUpTo + 1) else { return }
      if let queue = entries[place].queue, queue.lendsTooMuch {
        guard queue.letGo(of: &entries[place].queued) else { return }
      }
      letGoUpTo = entries[place].tag
    }
  }

  public func setLimit(_ count: Int) { limit = count }

  /// Takes out the delivery with that tag; with `multiple` all up to it, and with tag 0 all there are.
  /// - Returns: false if there is no such delivery (406 for the peer).
  // hot:
  public func take(_ tag: UInt64, multiple: Bool, _ each: (Delivery) -> Void) -> Bool {
    if multiple {
      if tag == 0 {
        takeAll(each)
        return true
      }
      guard let last = index(of: tag), entries[last].consumer != nil else { return false }
      while let first = entries.first, first.tag <= tag {
        entries.removeFirst()
        if first.consumer == nil { gaps -= 1 } else { each(first) }
      }
      dropLeadingGaps()
      return true
    }
    guard let index = index(of: tag) else { return false }
    let delivery = entries[index]
    guard delivery.consumer != nil else { return false }
    if index == 0 {
      entries.removeFirst()
      dropLeadingGaps()
    } else {
      entries[index].consumer = nil
      gaps += 1
      if gaps > 64, gaps > entries.count / 2 {
        entries.removeAll { $0.consumer == nil }
        gaps = 0
      }
    }
    each(delivery)
    return true
  }

  public func takeAll(_ each: (Delivery) -> Void) {
    let all = entries
    entries.removeAll()
    gaps = 0
    for delivery in all where delivery.consumer != nil { each(delivery) }
  }

  /// Puts back what a transaction took and rolled back.
  public func restore(_ deliveries: [Delivery]) {
    // Mostly each goes back before the first one, or into the gap that it left.
    var strays: [Delivery] = []
    for delivery in deliveries.sorted(by: { $0.tag > $1.tag }) {
      if entries.first.map({ delivery.tag < $0.tag }) ?? true {
        entries.prepend(delivery)
      } else if let gap = index(of: delivery.tag) {
        entries[gap] = delivery
        gaps -= 1
      } else {
        strays.append(delivery)
      }
    }
    guard !strays.isEmpty else { return }
    var all = entries.filter { $0.consumer != nil } + strays
    all.sort { $0.tag < $1.tag }
    entries = Deque(all)
    gaps = 0
  }

  private func dropLeadingGaps() {
    while let first = entries.first, first.consumer == nil {
      entries.removeFirst()
      gaps -= 1
    }
  }

  /// Tags mostly follow one another, so the place is known; where they do not, it is searched by halves.
  private func index(of tag: UInt64) -> Int? {
    guard let place = place(from: tag), entries[place].tag == tag else { return nil }
    return place
  }

  /// Where the first one is that has the tag or a later one.
  private func place(from tag: UInt64) -> Int? {
    guard let first = entries.first, let last = entries.last, tag <= last.tag else { return nil }
    guard tag > first.tag else { return 0 }
    let guess = Int(tag - first.tag)
    if guess < entries.count, entries[guess].tag == tag { return guess }
    var low = 0
    var high = entries.count - 1
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].tag < tag { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// A delivery has been settled: its consumer has room again.
  // hot:
  func release(_ delivery: Delivery) {
    guard delivery.isLimited else { return }
    delivery.consumer?.unsettled -= 1
    limited -= 1
  }
}

extension Delivery {
  /// Settles what `Deliveries.take` gave. Nothing is delivered yet: `Queue.drain` does that, once for many.
  // hot:
  public func settle(_ settlement: Settlement) {
    guard let consumer else { return }
    consumer.deliveries.release(self)
    consumer.queue.settle(queued, settlement)
  }
}
