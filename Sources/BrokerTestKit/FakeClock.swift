import BrokerCore
import Synchronization

/// A clock that stands until a test moves it. Knows no real time.
package final class FakeClock: Clock {
  /// It does not begin at 0, where a moment that was never set would look like the present.
  private static let start: UInt64 = 1_000_000_000_000
  private let now = Atomic<UInt64>(start)

  package init() {}

  package var nanoseconds: UInt64 { now.load(ordering: .sequentiallyConsistent) }

  /// It stands in November 2023 at first.
  package var wallMilliseconds: UInt64 { 1_700_000_000_000 + (nanoseconds - Self.start) / 1_000_000 }

  package func advance(seconds: Double) { advance(nanoseconds: UInt64(seconds * 1e9)) }

  package func advance(nanoseconds: UInt64) {
    now.wrappingAdd(nanoseconds, ordering: .sequentiallyConsistent)
  }
}
