/// Which positions are still wanted.
import BrokerTestKit
import Testing

@testable import BrokerCore

@Suite struct FrontierTests {
  @Test func `in turn only the head moves`() {
    var frontier = Frontier()
    for position: UInt64 in 1...5 { frontier.remove(position) }
    #expect(frontier.head == 6)
  }

  @Test func `what goes before its time is passed when the head comes by`() {
    var frontier = Frontier()
    for position: UInt64 in [3, 2, 5, 7] { frontier.remove(position) }
    #expect(frontier.head == 1)
    frontier.remove(1)
    #expect(frontier.head == 4)
    frontier.remove(4)
    #expect(frontier.head == 6)
    frontier.remove(4..<7)
    #expect(frontier.head == 8)
  }

  @Test(arguments: 1...20) func `it agrees with a set`(seed: Int) {
    var chance = Chance(seed: UInt64(seed))
    var frontier = Frontier(head: 10)
    var gone: Set<UInt64> = []
    for _ in 0..<500 {
      let start = UInt64(chance.below(300))
      let end = start + UInt64(chance.below(12))
      if end == start { frontier.remove(start) } else { frontier.remove(start..<end) }
      gone.formUnion(end == start ? [start] : Array(start..<end))
      var head: UInt64 = 10
      while gone.contains(head) { head += 1 }
      #expect(frontier.head == head, "seed \(seed)")
    }
  }
}
