/// The time, as the broker sees it; tests bring their own. Knows no calendar.
package protocol Clock: AnyObject, Sendable {
  /// Nanoseconds since some moment in the past; never goes back.
  var nanoseconds: UInt64 { get }
}

package final class SystemClock: Clock {
  package init() {}
  package var nanoseconds: UInt64 {
    let (seconds, attoseconds) = (ContinuousClock.now - Self.start).components
    return UInt64(max(0, seconds)) &* 1_000_000_000 &+ UInt64(max(0, attoseconds)) / 1_000_000_000
  }
  private static let start = ContinuousClock.now
}
