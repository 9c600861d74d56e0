import HeapModule

/// What is to happen at a time: delays of messages, and waits that end. Knows no timer: whoever has one asks
/// `next`, and hears through `onEarlier` when it changes.
public final class Deadlines {
  /// Between two looks at the sockets: what is due beyond waits for the next turn.
  public static let mostATurn = 1000

  private struct Entry: Comparable {
    let nanoseconds: UInt64
    /// Equal times keep the order in which they were asked for.
    let sequence: UInt64
    let action: () -> Void

    static func == (left: Entry, right: Entry) -> Bool { left.sequence == right.sequence }
    static func < (left: Entry, right: Entry) -> Bool {
      (left.nanoseconds, left.sequence) < (right.nanoseconds, right.sequence)
    }
  }

  private var heap = Heap<Entry>()
  private var sequence: UInt64 = 0
  private let clock: any Clock
  /// There is a deadline that comes before all others.
  public var onEarlier: () -> Void = {}

  init(clock: any Clock) { self.clock = clock }

  public var next: UInt64? { heap.min?.nanoseconds }
  public var count: Int { heap.count }

  public func after(milliseconds: Int64, _ action: @escaping () -> Void) {
    let delay = UInt64(max(0, milliseconds)).multipliedReportingOverflow(by: 1_000_000)
    let due = clock.nanoseconds.addingReportingOverflow(delay.overflow ? .max : delay.partialValue)
    sequence += 1
    let isEarliest = next.map { due.partialValue < $0 } ?? true
    heap.insert(
      Entry(nanoseconds: due.overflow ? .max : due.partialValue, sequence: sequence, action: action))
    if isEarliest { onEarlier() }
  }

  /// Does what is due, a bounded number. What it brings about is for the next turn, due as it may be.
  public func runDue() {
    let now = clock.nanoseconds
    let last = sequence
    for _ in 0..<Self.mostATurn {
      guard let first = heap.min, first.nanoseconds <= now, first.sequence <= last else { return }
      heap.removeMin()
      first.action()
    }
  }
}
