#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The time, as the broker sees it; tests bring their own. Knows no calendar.
public protocol Clock: AnyObject, Sendable {
  /// Nanoseconds since some moment in the past; never goes back.
  var nanoseconds: UInt64 { get }
  /// Seconds since 1970.
  var wallSeconds: UInt64 { get }
}

extension Clock {
  public var wallSeconds: UInt64 { UInt64(max(0, time(nil))) }
}

public final class SystemClock: Clock {
  public init() {}

  public var nanoseconds: UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
  }
}
