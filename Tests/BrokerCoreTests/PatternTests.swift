/// Regular expressions: what they match, what they refuse, and that nothing takes more than linear time.
/// make-patterns.py made patterns.txt.

import AMQPWire
import BrokerCore
import Foundation
import Testing

extension Pattern {
  fileprivate func matches(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { matches($0) } }
}

@Suite struct `A pattern` {
  @Test func `matches where Python's re does`() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "patterns.txt")
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    #expect(lines.count >= 300)
    for line in lines {
      let parts = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      try #require(parts.count == 3)
      let pattern = try Pattern(parts[0])
      // Twice: the second time finds its states in the cache.
      for _ in 0..<2 { #expect(pattern.matches(parts[1]) == (parts[2] == "1"), "\(line)") }
    }
  }

  @Test(arguments: [
    ("", "", true), ("", "a", true), (".*", "", true), ("^$", "", true), ("^$", "a", false),
    ("^amq\\.gen.*", "amq.gen-1", true), ("^(orders|logs)-[[:alpha:]]+$", "logs-eu", true),
    ("^(orders|logs)-[[:alpha:]]+$", "logs-1", false), ("[[:alnum:]_]{3}", "a_1", true),
    ("[[:xdigit:]][[:punct:]][[:space:]][[:upper:]]", "f! A", true), ("a{", "a{", true),
    ("x{y}", "x{y}", true),
    ("a{2}{", "aa{", true), ("\\t\\n\\.", "\t\n.", true), ("a.b", "a\nb", true), ("^b", "a\nb", false),
    ("A", "a", false), ("ü", "grün", true), ("^.$", "ü", false), ("$^", "", true), ("a^b", "ab", false),
    ("(a|^)b$|c", "ab", true), ("[^[:space:]]", " ", false), ("[]]", "]", true), ("[a-]", "-", true),
  ])
  func `matches as POSIX says`(_ pattern: String, _ text: String, _ expected: Bool) throws {
    #expect(try Pattern(pattern).matches(text) == expected)
  }

  @Test(arguments: [
    ("(a", "missing ) at byte 3"), ("a)", "unmatched ) at byte 2"), ("[a", "missing ]"),
    ("*a", "nothing to repeat"),
    ("a**", "nothing to repeat"), ("a\\", "unfinished escape"), ("(a)\\1", "unknown escape"),
    ("\\bx", "unknown escape"),
    ("[z-a]", "range with its end before its beginning"), ("[[:foo:]]", "unknown class of characters"),
    ("[[:^alpha:]]", "unknown class"), ("[[.a.]]", "are not known"), ("(?=a)", "only (?:…) is known"),
    ("a{3,1}", "repetition with its end"),
    ("a{1001}", "too large"), ("(a{50}){50}", "too large"), ("((((){1000}){1000}){1000}){1000}", "too large"),
    (String(repeating: "a", count: 8193), "too large"), (String(repeating: "[ab]", count: 300), "too large"),
    (String(repeating: "(", count: 101), "groups nested too deep"),
  ])
  func `that is none says why`(_ pattern: String, _ reason: String) {
    do {
      _ = try Pattern(pattern)
      Issue.record("it was taken")
    } catch { #expect(error.reason.contains(reason), "\(error)") }
  }

  @Test(arguments: [
    "(a*)*b", "(a+)+$b", "(a|a)*b", "(a|aa)+c", "(.*)(.*)(.*)(.*)[^a]", "(a?){500}a{500}b",
    "^(([a-z])+.)+[A-Z]$",
  ])
  func `takes linear time, whatever it is`(_ pattern: String) throws {
    let pattern = try Pattern(pattern)
    let text = [UInt8](repeating: UInt8(ascii: "a"), count: 50_000)
    let started = ContinuousClock.now
    #expect(text.withUnsafeBytes { pattern.matches($0) } == false)
    #expect(ContinuousClock.now - started < .seconds(2))
  }

  @Test func `whose states outgrow the cache still matches`() throws {
    // A state for each set of places where an a was among the last 15: 32,768 of them.
    let pattern = try Pattern("(a|b)*a(a|b){14}x")
    var text: [UInt8] = []
    var seed: UInt32 = 7
    for _ in 0..<20_000 {
      seed = seed &* 1_664_525 &+ 1_013_904_223
      text.append(seed >> 31 == 0 ? UInt8(ascii: "a") : UInt8(ascii: "b"))
    }
    #expect(text.withUnsafeBytes { pattern.matches($0) } == false)
    text += Array("abbbbbbbbbbbbbbx".utf8)
    #expect(text.withUnsafeBytes { pattern.matches($0) })
  }
}

/// `(?!…)` and `(?=…)` behind the beginning.
@Suite struct LookAheadTests {
  private func matches(_ pattern: String, _ text: ByteString) throws -> Bool {
    let pattern = try Pattern(pattern)
    return text.withOctets { pattern.matches($0) }
  }

  @Test func `what must not follow the beginning, and what has to`() throws {
    let cases: [(String, ByteString, Bool)] = [
      ("^(?!amq\\.).*", "q", true), ("^(?!amq\\.).*", "amq.q", false), ("^(?!amq\\.).*", "an amq.q", true),
      ("^(?!a|b)c?", "ab", false), ("^(?!a|b)c?", "c", true), ("^(?=a.c)(?!abc)a", "axc", true),
      ("^(?=a.c)(?!abc)a", "abc", false), ("^(?![)])x$", "x", true), ("^(?![])])x$", "]", false),
      ("^(?!\\)a)(b|c)$", "c", true), ("^(?!(a(b)))a", "ac", true), ("^(?!(a(b)))a", "abc", false),
      ("^(?!)a", "a", false), ("^(?!$)", "", false), ("^(?!$)", "x", true),
    ]
    for (pattern, text, expected) in cases {
      #expect(try matches(pattern, text) == expected, "\(pattern) for '\(text)'")
    }
  }

  @Test func `elsewhere it is none, and it is said why`() {
    for pattern in [
      "(?!a)b", "^a(?!b)", "^(?!a)b|c", "^(?!a", "^(?!(?!a))b", "^" + String(repeating: "(?!a)", count: 17),
    ] {
      #expect(throws: PatternError.self, "\(pattern)") { try Pattern(pattern) }
    }
  }

  @Test func `a literal is itself alone`() throws {
    for text in ["a.b", "x*y+z?", "(a|b)[c]{2}^$", "\\d", "ü^", ""] {
      #expect(try matches("^\(Pattern.literal(text))$", ByteString(text)))
      #expect(try !matches("^\(Pattern.literal(text))$", ByteString(text + "b")))
    }
  }
}
