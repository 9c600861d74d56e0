/// References in no order, with and without an index of their places.
import BrokerTestKit
import Testing

@testable import BrokerCore

@Suite struct BagTests {
  private final class Thing {}

  @Test(arguments: Seeds.of("BAG_SEED", Array(1...4)))
  func `what was put in and not taken out is there`(_ seed: UInt64) {
    Seeds.announce("BagTests: seed \(seed)")
    var chance = Chance(seed: seed)
    let things = (0..<60).map { _ in Thing() }
    var bag = Bag<Thing>()
    var inside: [ObjectIdentifier: Thing] = [:]
    // Phases that grow and shrink it, over the number from which places are kept.
    for round in 0..<2000 {
      let thing = chance.pick(things)
      let grows = round / 200 % 2 == 0 ? !chance.oneIn(4) : chance.oneIn(4)
      if inside[ObjectIdentifier(thing)] != nil || !grows {
        bag.remove(thing)
        inside[ObjectIdentifier(thing)] = nil
      } else {
        bag.insert(thing)
        inside[ObjectIdentifier(thing)] = thing
      }
      #expect(bag.count == inside.count && bag.isEmpty == inside.isEmpty)
      #expect(
        Set(bag.elements.map { ObjectIdentifier($0) }) == Set(inside.keys), "seed \(seed), round \(round)")
    }
  }
}
