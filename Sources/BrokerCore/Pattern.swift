/// A regular expression, as permissions and policies have them: POSIX extended, in linear time. Knows no permission.
///
/// Belongs to one thread at a time: matching fills its cache.

internal import CRegex

public final class Pattern {
  private let regex: OpaquePointer
  /// What has to follow the beginning of the text, and what must not: `^(?!amq\.)`, which operators of RabbitMQ like.
  /// A machine for each, and it stays linear.
  private let ahead: [(pattern: Pattern, isWanted: Bool)]

  /// Works on octets; `.` is any octet, and `^` and `$` are the ends of the text.
  public init(_ text: String) throws(PatternError) {
    let (ahead, rest) = try Self.lookAhead(text)
    var reason = [CChar](repeating: 0, count: Int(LG_REGEX_ERROR_BYTES))
    let octets = Array(rest.utf8)
    guard let compiled = lg_regex_compile(octets, octets.count, &reason) else {
      throw PatternError(
        reason: String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
    }
    regex = compiled
    self.ahead = ahead
  }

  deinit { lg_regex_free(regex) }

  /// Whether it matches anywhere in the text.
  // hot: asked of each publish whose answer is not kept.
  public func matches(_ octets: UnsafeRawBufferPointer) -> Bool {
    for (pattern, isWanted) in ahead where pattern.matches(octets) != isWanted { return false }
    return lg_regex_search(
      regex, octets.baseAddress?.assumingMemoryBound(to: UInt8.self), octets.count, nil, nil)
  }

  /// The pattern of that text alone.
  public static func literal(_ text: String) -> String {
    text.reduce(into: "") { made, letter in
      if letter.isASCII, letter.isPunctuation || letter.isSymbol { made.append("\\") }
      made.append(letter)
    }
  }

  // MARK: look-ahead

  private static let mostAhead = 16

  /// Takes `(?!…)` and `(?=…)` off the beginning, if the pattern says that it is the beginning.
  private static func lookAhead(_ text: String) throws(PatternError)
    -> (ahead: [(pattern: Pattern, isWanted: Bool)], rest: String)
  {
    var ahead: [(pattern: Pattern, isWanted: Bool)] = []
    var rest = Substring(text)
    guard rest.hasPrefix("^(?!") || rest.hasPrefix("^(?=") else { return ([], text) }
    rest = rest.dropFirst()
    while rest.hasPrefix("(?!") || rest.hasPrefix("(?=") {
      guard ahead.count < Self.mostAhead else {
        throw PatternError(reason: "more than \(Self.mostAhead) of (?!…) and (?=…)")
      }
      let isWanted = rest.hasPrefix("(?=")
      let (inner, after) = try split(rest.dropFirst(3))
      ahead.append((try Pattern("^(?:\(inner))"), isWanted))
      rest = after
    }
    guard try !hasChoice(rest) else {
      throw PatternError(reason: "after (?!…) or (?=…) a choice has to stand in a group")
    }
    return (ahead, "^\(rest)")
  }

  /// What is before the parenthesis that closes the group, and what is behind.
  private static func split(_ text: Substring) throws(PatternError) -> (Substring, Substring) {
    var depth = 1
    for (at, letter) in structure(text) {
      if letter == "(" { depth += 1 }
      if letter == ")" { depth -= 1 }
      if depth == 0 { return (text[..<at], text[text.index(after: at)...]) }
    }
    throw PatternError(reason: "missing )")
  }

  private static func hasChoice(_ text: Substring) throws(PatternError) -> Bool {
    var depth = 0
    for (_, letter) in structure(text) {
      if letter == "(" { depth += 1 }
      if letter == ")" { depth -= 1 }
      if letter == "|", depth == 0 { return true }
    }
    return false
  }

  /// The letters that are neither escaped nor in a set.
  private static func structure(_ text: Substring) -> [(Substring.Index, Character)] {
    var found: [(Substring.Index, Character)] = []
    var at = text.startIndex
    var setBegan: Substring.Index?
    while at < text.endIndex {
      let letter = text[at]
      if letter == "\\" {
        at = text.index(after: at)
        if at == text.endIndex { break }
      } else if let began = setBegan {
        // A set may begin with its own end: []a] and [^]a].
        if letter == "]", text[began..<at] != "[", text[began..<at] != "[^" { setBegan = nil }
      } else if letter == "[" {
        setBegan = at
      } else {
        found.append((at, letter))
      }
      at = text.index(after: at)
    }
    return found
  }
}

public struct PatternError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Where and what, in words.
  public var reason: String
  public var description: String { reason }
}
