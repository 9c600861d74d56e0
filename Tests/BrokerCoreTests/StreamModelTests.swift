/// A stream against a list: random readers, retention and crashes. The seed stands in each failure.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore

@Suite struct StreamModelTests {
  /// One who reads, and what it was given last.
  private final class Reading {
    let holder = Holder()
    let consumer: Consumer
    let start: UInt64?
    var seen = 0
    var last: UInt64?
    var acknowledged: UInt64 = 0

    init(_ queue: Queue, offset: FieldValue, start: UInt64?, prefetch: Int) throws {
      consumer = try holder.consume(queue, prefetch: prefetch, arguments: ["x-stream-offset": offset])
      self.start = start
    }

    func acknowledge(_ count: Int) {
      let given = UInt64(holder.collector.deliveries.count)
      guard given > acknowledged, count > 0 else { return }
      acknowledged = min(given, acknowledged + UInt64(count))
      holder.settle(acknowledged, multiple: true)
    }
  }

  private final class Play {
    let core: StoredCore
    var chance: Chance
    let seed: UInt64
    /// What was published, by offset.
    var log: [String] = []
    var readings: [Reading] = []
    var number = 0

    init(seed: UInt64) throws {
      self.seed = seed
      chance = Chance(seed: seed)
      var settings = Settings()
      settings.queueMemoryMaximum = chance.pick([1, 5, 50, 100_000]) * Ledger.overhead
      core = try StoredCore(settings)
      var arguments: FieldTable = ["x-queue-type": "stream"]
      if chance.oneIn(2) { arguments["x-stream-max-segment-size-bytes"] = .int64(Int64(chance.below(500))) }
      if chance.oneIn(2) { arguments["x-max-length-bytes"] = .int64(Int64(chance.below(3000))) }
      if chance.oneIn(3) { arguments["x-max-age"] = "30s" }
      try core.queue("s", arguments: arguments)
      core.settle()
    }

    var stream: Stream {
      get throws { try #require(try core.vhost.queue("s").stream) }
    }

    func step() throws {
      switch chance.below(100) {
      case 0..<45:
        for _ in 0...chance.below(5) {
          number += 1
          log.append("\(number)")
          try core.publish("\(number)", to: "s")
        }
      case 45..<55: core.turn()
      case 55..<70: _ = core.store.workOnce()
      case 70..<75: core.settle()
      case 75..<80: core.clock.advance(seconds: Double(chance.below(20)))
      case 80..<85 where readings.count < 8: try attach()
      case 85..<97:
        if let reading = readings.randomElement(by: &chance) { reading.acknowledge(1 + chance.below(20)) }
      case 97:
        if let reading = chance.draw(from: &readings) {
          try core.vhost.queue("s").unsubscribe(reading.consumer)
        }
      case 98 where chance.oneIn(3): try crash()
      default: break
      }
      try look()
    }

    private func attach() throws {
      let stream = try stream
      let offset: FieldValue
      var start: UInt64?
      switch chance.below(4) {
      case 0: (offset, start) = ("first", stream.first)
      case 1: (offset, start) = ("next", stream.next)
      case 2: (offset, start) = ("last", stream.lastBatch)
      default:
        let place = UInt64(chance.below(log.count + 5))
        (offset, start) = (.int64(Int64(place)), max(place, stream.first))
      }
      readings.append(
        try Reading(
          try core.vhost.queue("s"), offset: offset, start: start, prefetch: 1 + chance.below(30)))
    }

    private func crash() throws {
      let given = readings.compactMap(\.last).max()
      try core.crash()
      readings = []
      let next = try stream.next
      #expect(next <= log.count, "seed \(seed)")
      if let given { #expect(given < next, "seed \(seed): what was given is not lost") }
      log.removeLast(max(0, log.count - Int(next)))
    }

    /// What each was given since is what comes next; only what was given up may be missing.
    func look() throws {
      let first = try stream.first
      for reading in readings {
        for delivered in reading.holder.collector.deliveries[reading.seen...] {
          let offset = UInt64(try #require(delivered.message.headerTable()["x-stream-offset"]?.integer))
          #expect(offset < log.count && log[Int(offset)] == delivered.text, "seed \(seed)")
          let expected = reading.last.map { $0 + 1 } ?? reading.start ?? offset
          #expect(offset == expected || offset > expected && offset <= first, "seed \(seed)")
          reading.last = offset
        }
        reading.seen = reading.holder.collector.deliveries.count
        #expect(reading.holder.deliveries.count <= reading.consumer.prefetch, "seed \(seed)")
      }
    }

    func end() throws {
      core.settle()
      var isMore = true
      while isMore {
        isMore = false
        for reading in readings where reading.holder.deliveries.count > 0 {
          reading.acknowledge(100)
          isMore = true
        }
        core.settle()
        try look()
      }
      let stream = try stream
      #expect(stream.next == log.count && stream.readable == stream.next, "seed \(seed)")
      for reading in readings where reading.start ?? 0 < stream.next {
        #expect(reading.last.map { $0 + 1 } == stream.next, "seed \(seed)")
      }
      #expect(core.store.messageCount == stream.count, "seed \(seed)")
      core.vhost.remove(try core.vhost.queue("s"))
      core.settle()
      #expect(core.broker.ledger.octets == 0 && core.store.messageCount == 0, "seed \(seed)")
    }
  }

  @Test(arguments: Seeds.of("STREAM_SEED", Array(1...60)))
  func `readers of a stream are given what a list would give them`(seed: UInt64) throws {
    let play = try Play(seed: seed)
    for _ in 0..<400 { try play.step() }
    try play.end()
  }
}

extension Array {
  fileprivate func randomElement(by chance: inout Chance) -> Element? {
    isEmpty ? nil : self[chance.below(count)]
  }
}
