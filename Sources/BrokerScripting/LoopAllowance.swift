/// How much of the core loop's time a plugin may take: beyond 100 ms within a second its hooks fail at once,
/// for a second first, then for twice as long, up to a minute. Knows no Lua.
///
///     open ── 100 ms spent within a second ──> shut for 1 s, 2 s, 4 s, … 60 s ──> open
///          <── a minute without being shut: back to 1 s ──
///
/// Short calls do not count: they never look at the clock (LuaInterpreter.lastCallNanoseconds), and a busy
/// exchange with a fast script is no waste.

package struct LoopAllowance {
  static let second: UInt64 = 1_000_000_000
  package static let standard: UInt64 = 100_000_000
  static let longest: UInt64 = 60 * second

  private var windowStart: UInt64 = 0
  private var spent: UInt64 = 0
  private var pause = second
  /// 0: open.
  private var shutUntil: UInt64 = 0

  private let allowed: UInt64

  package init(nanoseconds: UInt64 = LoopAllowance.standard) { allowed = nanoseconds }

  package var mayBeShut: Bool { shutUntil != 0 }

  package mutating func isShut(at now: UInt64) -> Bool {
    guard shutUntil != 0 else { return false }
    guard now >= shutUntil else { return true }
    shutUntil = 0
    windowStart = now
    spent = 0
    return false
  }

  /// - Returns: how long it is shut now, in nanoseconds, if this call was one too many.
  package mutating func add(_ nanoseconds: UInt64, at now: UInt64) -> UInt64? {
    if now &- windowStart > Self.second {
      if now &- windowStart > Self.longest { pause = Self.second }
      windowStart = now
      spent = 0
    }
    spent += nanoseconds
    guard spent > allowed else { return nil }
    let length = pause
    shutUntil = now + length
    pause = min(pause * 2, Self.longest)
    return length
  }
}
