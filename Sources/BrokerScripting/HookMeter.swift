/// Counts the calls of one hook, and how long they take. Knows no script.
///
/// Reading a clock twice costs as much as half a short call, so of short calls each sixteenth is timed and
/// counts for all; long ones, which look at the clock anyway, are counted as they are.

internal import BrokerCore

final class HookMeter {
  private static let sample: UInt64 = 16
  private(set) var usage: HookUsage

  init(_ hook: String) { usage = HookUsage(hook: hook) }

  // hot:
  func begin(_ clock: (any Clock)?) -> UInt64 {
    usage.calls &+= 1
    guard usage.calls % Self.sample == 1, let clock else { return 0 }
    return clock.nanoseconds
  }

  /// - Parameters:
  ///   - began: what `begin` gave
  ///   - long: what the interpreter says of a call that was long enough to be timed, else 0
  // hot:
  func end(_ began: UInt64, long: UInt64, _ clock: (any Clock)?) {
    if long != 0 {
      count(long, 1)
    } else if began != 0, let clock {
      count(clock.nanoseconds &- began, Self.sample)
    }
  }

  private func count(_ nanoseconds: UInt64, _ weight: UInt64) {
    let bucket = HookUsage.bounds.firstIndex { nanoseconds <= $0 } ?? HookUsage.bounds.count
    usage.counts[bucket] &+= weight
    usage.totalNanoseconds &+= nanoseconds &* weight
  }

  func add(_ other: HookUsage) {
    usage.calls &+= other.calls
    usage.errors &+= other.errors
    usage.limitHits &+= other.limitHits
    usage.totalNanoseconds &+= other.totalNanoseconds
    for (index, count) in other.counts.enumerated() where index < usage.counts.count {
      usage.counts[index] &+= count
    }
  }

  func failed(isLimit: Bool) {
    usage.errors &+= 1
    if isLimit { usage.limitHits &+= 1 }
  }
}
