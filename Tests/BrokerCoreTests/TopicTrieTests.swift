/// Topic patterns: a table, chance against a matcher that cannot be wrong, and patterns made to be slow.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore

/// A trie with bindings that lead nowhere: only their patterns matter.
private struct Patterns {
  let trie = TopicTrie()
  private let core = Core()
  private let exchange: Exchange
  private let queue: Queue

  init() throws {
    exchange = try core.vhost.exchange("amq.topic")
    queue = try core.queue("q")
  }

  func binding(_ pattern: ByteString) -> Binding {
    Binding(source: exchange, destination: .queue(queue), key: pattern, arguments: [:], sequence: 1)
  }

  @discardableResult
  func add(_ pattern: ByteString) -> Binding {
    let binding = binding(pattern)
    trie.add(binding)
    return binding
  }

  /// The patterns that match, each as often as it was found, sorted.
  func matching(_ key: ByteString) -> [ByteString] {
    var found: [ByteString] = []
    key.bytes.withUnsafeBytes { octets in trie.match(octets) { found.append($0.key) } }
    return found.sorted()
  }
}

/// The specification's words (1.8... 3.1.3.3) as a recursion over lists of words.
private func naivelyMatches(_ pattern: ArraySlice<String>, _ key: ArraySlice<String>) -> Bool {
  guard let first = pattern.first else { return key.isEmpty }
  if first == "#" {
    return naivelyMatches(pattern.dropFirst(), key)
      || (!key.isEmpty && naivelyMatches(pattern, key.dropFirst()))
  }
  guard let word = key.first, first == "*" || first == word else { return false }
  return naivelyMatches(pattern.dropFirst(), key.dropFirst())
}

private func words(_ text: String) -> ArraySlice<String> {
  text.isEmpty
    ? [] : ArraySlice(text.split(separator: ".", omittingEmptySubsequences: false).map(String.init))
}

struct TopicCase: CustomTestStringConvertible {
  let pattern: String
  let matches: [String]
  let differs: [String]
  var testDescription: String { pattern.isEmpty ? "(empty)" : pattern }

  static let all: [TopicCase] = [
    TopicCase(pattern: "", matches: [""], differs: ["a", ".", "#", "*"]),
    TopicCase(pattern: "a", matches: ["a"], differs: ["", "b", "A", "aa", "a.", ".a", "a.a"]),
    TopicCase(pattern: "a.b", matches: ["a.b"], differs: ["a", "b", "ab", "a.b.c", "a..b", "a.B"]),
    TopicCase(pattern: "*", matches: ["a", "*", "#", "some-word"], differs: ["", "a.b", "."]),
    TopicCase(pattern: "*.*", matches: ["a.b", ".", "a."], differs: ["", "a", "a.b.c", ".."]),
    TopicCase(pattern: "a.*", matches: ["a.b", "a.", "a.*"], differs: ["a", "b.b", "a.b.c"]),
    TopicCase(pattern: "*.b", matches: ["a.b", ".b"], differs: ["b", "a.c", "a.a.b"]),
    TopicCase(pattern: "a.*.c", matches: ["a.b.c", "a..c"], differs: ["a.c", "a.b.b.c", "a.b.d"]),
    TopicCase(pattern: "#", matches: ["", "a", "a.b", "a.b.c", ".", ".."], differs: []),
    TopicCase(pattern: "#.#", matches: ["", "a", "a.b", "a.b.c"], differs: []),
    TopicCase(pattern: "a.#", matches: ["a", "a.b", "a.b.c", "a."], differs: ["", "b", "b.a", "aa"]),
    TopicCase(pattern: "#.c", matches: ["c", "b.c", "a.b.c", ".c"], differs: ["", "c.b", "cc"]),
    TopicCase(pattern: "a.#.c", matches: ["a.c", "a.b.c", "a.a.c.c", "a..c"], differs: ["a", "c", "a.c.d"]),
    TopicCase(pattern: "#.*", matches: ["a", "a.b", "."], differs: [""]),
    TopicCase(pattern: "*.#", matches: ["a", "a.b", "."], differs: [""]),
    TopicCase(pattern: "*.#.*", matches: ["a.b", "a.b.c"], differs: ["", "a"]),
    TopicCase(pattern: "#.a.#", matches: ["a", "a.a", "b.a.b", "b.b.a"], differs: ["", "b", "aa.b"]),
    TopicCase(pattern: "#.a.#.a.#", matches: ["a.a", "a.b.a", "b.a.a.b"], differs: ["a", "", "b.a.b"]),
    TopicCase(pattern: "a..b", matches: ["a..b"], differs: ["a.b", "a.c.b"]),
    TopicCase(pattern: ".", matches: ["."], differs: ["", "a", ".."]),
    TopicCase(pattern: "a*", matches: ["a*"], differs: ["a", "ab", "a.b"]),
    TopicCase(pattern: "#a", matches: ["#a"], differs: ["a", "b.a"]),
    TopicCase(pattern: "é.玉兔", matches: ["é.玉兔"], differs: ["e.玉兔", "é"]),
    TopicCase(
      pattern: "stock.usd.*", matches: ["stock.usd.nyse"], differs: ["stock.eur.nyse", "stock.usd"]),
  ]
}

@Suite struct TopicTrieTests {
  @Test(arguments: TopicCase.all)
  func `a pattern matches the keys it should and no others`(_ table: TopicCase) throws {
    let patterns = try Patterns()
    patterns.add(ByteString(table.pattern))
    for key in table.matches {
      #expect(patterns.matching(ByteString(key)).count == 1, "'\(key)' has to match")
    }
    for key in table.differs {
      #expect(patterns.matching(ByteString(key)).isEmpty, "'\(key)' must not match")
    }
  }

  @Test func `all patterns together match as each does alone`() throws {
    let patterns = try Patterns()
    for table in TopicCase.all { patterns.add(ByteString(table.pattern)) }
    for key in Set(TopicCase.all.flatMap { $0.matches + $0.differs }) {
      let expected = TopicCase.all.map(\.pattern).filter { naivelyMatches(words($0), words(key)) }
      #expect(patterns.matching(ByteString(key)) == expected.map { ByteString($0) }.sorted(), "key '\(key)'")
    }
  }

  @Test func `a pattern that is bound twice is found twice and goes one at a time`() throws {
    let patterns = try Patterns()
    let (first, second) = (patterns.add("a.#"), patterns.add("a.#"))
    #expect(patterns.matching("a.b").count == 2)
    patterns.trie.remove(first)
    #expect(patterns.matching("a.b").count == 1)
    patterns.trie.remove(second)
    #expect(patterns.trie.isEmpty)
  }

  @Test func `to take away what is not there changes nothing`() throws {
    let patterns = try Patterns()
    patterns.add("a.*.c")
    for stranger in ["", "a", "a.*", "a.*.c", "a.*.c.d", "#", "x.y", "a.#.c"] as [ByteString] {
      patterns.trie.remove(patterns.binding(stranger))
    }
    #expect(patterns.matching("a.b.c") == ["a.*.c"])
  }

  @Test func `to take away a pattern leaves those that run through it or end in it`() throws {
    let patterns = try Patterns()
    let middle = patterns.add("a.b")
    for other in ["a", "a.b.c", "a.*", "a.#"] as [ByteString] { patterns.add(other) }
    patterns.trie.remove(middle)
    #expect(patterns.matching("a.b") == ["a.#", "a.*"])
    #expect(patterns.matching("a.b.c") == ["a.#", "a.b.c"])
    #expect(patterns.matching("a") == ["a", "a.#"])
  }

  @Test(arguments: Seeds.of("TOPIC_SEED", Array(1...8)))
  func `random patterns match random keys as a naive matcher says`(_ seed: UInt64) throws {
    Seeds.announce("TopicTrieTests: seed \(seed)")
    var chance = Chance(seed: seed)
    let patterns = try Patterns()
    var bound: [Binding] = []
    for round in 0..<400 {
      if bound.count < 60, !chance.oneIn(3) {
        bound.append(patterns.add(ByteString(chance.pattern())))
      } else if let gone = chance.draw(from: &bound) {
        patterns.trie.remove(gone)
      }
      let key = chance.key()
      let expected = bound.map(\.key).filter { naivelyMatches(words($0.text), words(key)) }.sorted()
      #expect(patterns.matching(ByteString(key)) == expected, "seed \(seed), round \(round), key '\(key)'")
    }
    for binding in bound { patterns.trie.remove(binding) }
    #expect(patterns.trie.isEmpty)
  }

  /// Steps are counted and not seconds: each word of the key may reach each node once.
  @Test(arguments: ["#.a.#.a.#.a.#", "#.a.#.a.#.a.#.b", "#.*.#.*.#.*.#.*.#.b", "#.#.#.#.#.#.#.#.b"])
  func `a pattern made to be slow costs its nodes times the words of the key`(_ bomb: String) throws {
    let patterns = try Patterns()
    patterns.add(ByteString(bomb))
    let key = [String](repeating: "a", count: 120).joined(separator: ".")
    let before = patterns.trie.steps
    #expect(patterns.matching(ByteString(key)).count == (bomb.hasSuffix("b") ? 0 : 1))
    let nodes = words(bomb).count + 1
    #expect(patterns.trie.steps - before <= 121 * UInt64(nodes))
  }

  @Test func `what does not match costs nothing`() throws {
    let patterns = try Patterns()
    for number in 0..<1000 { patterns.add(ByteString("other.\(number).*.#")) }
    patterns.add("a.b.c")
    let before = patterns.trie.steps
    #expect(patterns.matching("a.b.c") == ["a.b.c"])
    #expect(patterns.trie.steps - before == 4)
  }
}

extension Chance {
  private mutating func text(_ words: [String], upTo count: Int) -> String {
    (0..<below(count + 1)).map { _ in pick(words) }.joined(separator: ".")
  }

  fileprivate mutating func pattern() -> String { text(["a", "b", "", "*", "*", "#", "#"], upTo: 6) }
  fileprivate mutating func key() -> String { text(["a", "b", "", "c"], upTo: 7) }
}
