#if RocksDB
  /// The sums that RocksDB's log has from us.
  import BrokerTestKit
  import CCRC32C
  import Testing

  @Suite struct ChecksumTests {
    private func sum(_ octets: some Sequence<UInt8>, after before: UInt32 = 0) -> UInt32 {
      let octets = Array(octets)
      return octets.withUnsafeBytes { ccrc32c_extend(before, $0.baseAddress, $0.count) }
    }

    /// RFC 3720, B.4.
    @Test func `sums are those of the standard`() {
      #expect(sum("123456789".utf8) == 0xE306_9283)
      #expect(sum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
      #expect(sum([UInt8](repeating: 255, count: 32)) == 0x62A8_AB43)
      #expect(sum([]) == 0)
    }

    @Test func `a sum is the same whole and in parts, at every size`() {
      var chance = Chance(seed: 5)
      let octets = (0..<20_000).map { _ in UInt8(truncatingIfNeeded: chance.below(256)) }
      let sums = octets.reduce(into: [UInt32(0)]) { $0.append(sum([$1], after: $0[$0.count - 1])) }
      for size in [1, 7, 8, 9, 1023, 3071, 3072, 3073, 6144, 9217, 20_000] {
        #expect(sum(octets[..<size]) == sums[size])
        #expect(sum(octets[size...], after: sums[size]) == sums[20_000])
      }
    }
  }
#endif
