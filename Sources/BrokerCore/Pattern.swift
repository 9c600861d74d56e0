/// A regular expression, as permissions have them: POSIX extended, in linear time. Knows no permission.
///
/// Belongs to one thread at a time: matching fills its cache.

internal import CRegex

public final class Pattern {
  private let regex: OpaquePointer

  /// Works on octets; `.` is any octet, and `^` and `$` are the ends of the text.
  public init(_ text: String) throws(PatternError) {
    var reason = [CChar](repeating: 0, count: Int(LG_REGEX_ERROR_BYTES))
    let octets = Array(text.utf8)
    guard let compiled = lg_regex_compile(octets, octets.count, &reason) else {
      throw PatternError(
        reason: String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
    regex = compiled
  }

  deinit { lg_regex_free(regex) }

  /// Whether it matches anywhere in the text.
  // hot: asked of each publish whose answer is not kept.
  public func matches(_ octets: UnsafeRawBufferPointer) -> Bool {
    lg_regex_search(
      regex, octets.baseAddress?.assumingMemoryBound(to: UInt8.self), octets.count, nil, nil)
  }
}

public struct PatternError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Where and what, in words.
  public var reason: String
  public var description: String { reason }
}
