#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The time, as the broker sees it; tests bring their own. Knows no calendar.
public protocol Clock: AnyObject, Sendable {
  /// Nanoseconds since some moment in the past; never goes back.
  var nanoseconds: UInt64 { get }
  /// Milliseconds since 1970.
  var wallMilliseconds: UInt64 { get }
}

extension Clock {
  /// Seconds since 1970.
  public var wallSeconds: UInt64 { wallMilliseconds / 1000 }
}

public final class SystemClock: Clock {
  public init() {}

  public var nanoseconds: UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) &* 1_000_000_000 &+ UInt64(now.tv_nsec)
  }

  public var wallMilliseconds: UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UInt64(max(0, now.tv_sec)) &* 1000 &+ UInt64(now.tv_nsec) / 1_000_000
  }
}
