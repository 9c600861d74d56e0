import Foundation

/// Chance with a seed: the same seed gives the same values on every machine. Knows nothing of what is tested.

/// SplitMix64 (Steele, Lea and Flood, 2014).
package struct Chance {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// A number from 0 to `bound` - 1. Plain arithmetic, since the standard library's way may change.
  package mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

  package mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }

  package mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

  /// Takes a random element out.
  package mutating func draw<Element>(from elements: inout [Element]) -> Element? {
    elements.isEmpty ? nil : elements.remove(at: below(elements.count))
  }
}

/// The seeds of a random test: the ones that are committed, or the one that the environment asks for.
///
///     MODEL_SEED=7 swift test --filter ModelTests
package struct Seeds {
  package static func of(_ variable: String, _ committed: [UInt64]) -> [UInt64] {
    ProcessInfo.processInfo.environment[variable].flatMap { UInt64($0) }.map { [$0] } ?? committed
  }

  /// Writes a line at once, so that it is seen although a trap follows.
  package static func announce(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
  }
}
