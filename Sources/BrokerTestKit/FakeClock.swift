import BrokerCore
import Synchronization

/// A clock that stands until a test moves it. Knows no real time.
package final class FakeClock: Clock {
  /// It does not begin at 0, where a moment that was never set would look like the present.
  private let now = Atomic<UInt64>(1_000_000_000_000)

  package init() {}

  package var nanoseconds: UInt64 { now.load(ordering: .sequentiallyConsistent) }

  package func advance(seconds: Double) { advance(nanoseconds: UInt64(seconds * 1e9)) }

  package func advance(nanoseconds: UInt64) {
    now.wrappingAdd(nanoseconds, ordering: .sequentiallyConsistent)
  }
}
