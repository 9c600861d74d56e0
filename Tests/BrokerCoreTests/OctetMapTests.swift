/// The hash table over octets, against Swift's dictionary.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@Suite struct OctetMapTests {
  @Test func `an empty map has nothing`() {
    var map = OctetMap<Int>()
    #expect(map.isEmpty && map.count == 0 && map.values.isEmpty)
    #expect(map["a"] == nil)
    map["a"] = nil
    #expect(map.isEmpty)
  }

  @Test func `a key is its octets, and the empty one is a key like any other`() {
    var map = OctetMap<Int>()
    map[""] = 1
    map["\0"] = 2
    map["é"] = 3
    #expect(map[""] == 1 && map["\0"] == 2 && map["é"] == 3)
    // The same letter from two code points is other octets.
    #expect(map["e\u{301}"] == nil)
    map[""] = nil
    #expect(map[""] == nil && map.count == 2)
  }

  @Test func `octets are found where they lie`() {
    var map = OctetMap<Int>()
    map["middle"] = 7
    let found = ByteString("the middle of it").bytes.withUnsafeBytes { octets in
      map[UnsafeRawBufferPointer(rebasing: octets[4..<10])]
    }
    #expect(found == 7)
    #expect(map[UnsafeRawBufferPointer(start: nil, count: 0)] == nil)
  }

  @Test func `setting a key again replaces its value`() {
    var map = OctetMap<Int>()
    for number in 0..<10 { map["k"] = number }
    #expect(map["k"] == 9 && map.count == 1)
  }

  @Test func `a value is changed in place, and made if there is none`() {
    var map = OctetMap<[Int]>()
    for number in 0..<100 { map.update(ByteString("k\(number % 10)"), default: []) { $0.append(number) } }
    #expect(map.count == 10)
    #expect(map["k3"] == [3, 13, 23, 33, 43, 53, 63, 73, 83, 93])
    #expect(map.update("k4", default: []) { $0.count } == 10)
  }

  @Test func `a copy is a value of its own`() {
    var map = OctetMap<Int>()
    map["a"] = 1
    var copy = map
    copy["a"] = 2
    copy["b"] = 3
    #expect(map["a"] == 1 && map["b"] == nil && copy["a"] == 2)
  }

  @Test(arguments: Seeds.of("OCTETMAP_SEED", Array(1...6)))
  func `random operations leave what a dictionary would hold`(_ seed: UInt64) {
    Seeds.announce("OctetMapTests: seed \(seed)")
    var chance = Chance(seed: seed)
    var map = OctetMap<Int>()
    var dictionary: [ByteString: Int] = [:]
    // Few keys make removals hit, many make the table grow; every second seed has few.
    let keyCount = seed % 2 == 0 ? 40 : 700
    for round in 0..<6000 {
      let key = ByteString(String(chance.below(keyCount), radix: 36))
      switch chance.below(5) {
      case 0, 1:
        map[key] = round
        dictionary[key] = round
      case 2, 3:
        map[key] = nil
        dictionary[key] = nil
      default:
        #expect(map[key] == dictionary[key], "seed \(seed), round \(round)")
      }
      #expect(map.count == dictionary.count)
      if round % 500 == 0 { #expect(map.values.sorted() == dictionary.values.sorted()) }
    }
    for (key, value) in dictionary { #expect(map[key] == value) }
    for key in dictionary.keys { map[key] = nil }
    #expect(map.isEmpty && map.values.isEmpty)
  }
}
