/// Streams: what readers get, where they begin, what is given up, and what a crash leaves.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore

/// A stream in a broker with a store, and short words for those who read it.
private final class StreamHouse {
  let core: StoredCore
  let name: ByteString = "s"

  init(_ arguments: FieldTable = [:], _ settings: Settings = Settings()) throws {
    core = try StoredCore(settings)
    try core.queue(name, arguments: Self.stream(arguments))
    core.settle()
  }

  static func stream(_ arguments: FieldTable = [:]) -> FieldTable {
    var all = arguments
    all["x-queue-type"] = "stream"
    return all
  }

  var queue: Queue {
    get throws { try core.vhost.queue(name) }
  }

  func publish(_ range: Range<Int>, batch: Int = 1) throws {
    for number in range {
      try core.publish("\(number)", to: name)
      if number % batch == batch - 1 { core.settle() }
    }
    core.settle()
  }

  /// A reader that acknowledges nothing by itself.
  func reader(
    _ offset: FieldValue? = nil, prefetch: Int = 65_535, _ more: FieldTable = [:]
  ) throws -> StreamReading {
    var arguments = more
    arguments["x-stream-offset"] = offset
    let holder = Holder()
    let consumer = try holder.consume(try queue, prefetch: prefetch, arguments: arguments)
    core.settle()
    return StreamReading(holder: holder, consumer: consumer)
  }

  /// All that there is from a place on, read with little credit.
  func read(_ offset: FieldValue = "first", prefetch: Int = 7) throws -> [String] {
    let reading = try reader(offset, prefetch: prefetch)
    var tag: UInt64 = 0
    while tag < UInt64(reading.deliveries.count) {
      tag = UInt64(reading.deliveries.count)
      reading.holder.settle(tag, multiple: true)
      core.settle()
    }
    reading.leave()
    return reading.texts
  }
}

/// What a reader of a stream was given.
private struct StreamReading {
  let holder: Holder
  let consumer: Consumer

  var deliveries: [Collector.Delivered] { holder.collector.deliveries }
  var texts: [String] { holder.collector.texts }
  var offsets: [Int64] { holder.offsets }
  func leave() { consumer.queue.unsubscribe(consumer) }
}

extension Holder {
  fileprivate var offsets: [Int64] {
    collector.deliveries.compactMap { $0.message.headerTable()["x-stream-offset"]?.integer }
  }
}

private func texts(_ range: Range<Int>) -> [String] { range.map(String.init) }

@Suite struct StreamTests {
  @Test func `reading leaves a stream as it is, for each reader from where it likes`() throws {
    let house = try StreamHouse()
    try house.publish(0..<10)
    for (offset, expected) in [
      ("first", 0..<10), ("last", 9..<10), ("next", 10..<10), (.int32(4), 4..<10), (.int64(0), 0..<10),
      (.int32(-1), 0..<10), (.int64(9), 9..<10), (.int64(12), 12..<12), ("1h", 0..<10),
      (.timestamp(0), 0..<10), (.timestamp(1 << 40), 10..<10),
    ] as [(FieldValue, Range<Int>)] {
      let holder = try house.reader(offset)
      #expect(holder.texts == texts(expected), "\(offset)")
      #expect(holder.offsets == expected.map(Int64.init), "\(offset)")
      #expect(holder.deliveries.filter(\.redelivered).isEmpty)
    }
    #expect(try house.queue.readyCount == 10)
    #expect(try house.queue.unsettledCount == 0)
  }

  @Test func `all who wait get what comes`() throws {
    let house = try StreamHouse()
    try house.publish(0..<3)
    let holders = [try house.reader(), try house.reader("first"), try house.reader(.int32(4))]
    try house.publish(3..<6)
    let found = holders.map(\.texts)
    #expect(found == [texts(3..<6), texts(0..<6), texts(4..<6)])
  }

  @Test func `nobody is given what a crash would take back`() throws {
    let house = try StreamHouse()
    let holder = try house.reader("first")
    try house.core.publish("a", to: "s")
    house.core.turn()
    #expect(holder.texts.isEmpty && house.core.store.isBusy)
    try house.core.crash()
    #expect(try house.queue.readyCount == 0)
    try house.core.publish("b", to: "s")
    house.core.settle()
    let again = try house.reader("first")
    #expect(again.texts == ["b"] && again.offsets == [0])
  }

  @Test func `the last ones are the last batch that was written`() throws {
    let house = try StreamHouse()
    try house.publish(0..<12, batch: 4)
    #expect(try house.reader("last").texts == texts(8..<12))
  }

  @Test func `acknowledging is credit, and so is rejecting`() throws {
    let house = try StreamHouse()
    try house.publish(0..<6)
    let reading = try house.reader("first", prefetch: 2)
    let holder = reading.holder
    #expect(holder.collector.texts == texts(0..<2))
    holder.settle(2, multiple: true)
    #expect(holder.collector.texts == texts(0..<4))
    holder.settle(3, .rejected(requeue: true))
    holder.settle(4, .rejected(requeue: false))
    house.core.settle()
    #expect(holder.collector.texts == texts(0..<6))
    #expect(try house.read() == texts(0..<6))
  }

  @Test func `a consumer has to say what it can bear`() throws {
    let house = try StreamHouse()
    let queue = try house.queue
    #expect(
      refusal { try Holder().consume(queue) }
        == ProtocolError(
          .preconditionFailed, "consumer prefetch count is not set for 'queue 's' in vhost '/''"))
    #expect(
      refusal { try Holder().consume(queue, noAck: true, prefetch: 1) }
        == ProtocolError(
          .notImplemented,
          "automatic acknowledgement not supported by stream queues queue 's' in vhost '/'"))
    let holder = Holder()
    holder.deliveries.setLimit(1)
    #expect(
      refusal { try holder.consume(queue, prefetch: 1) }
        == ProtocolError(.notImplemented, "queue 's' in vhost '/' does not support global qos"))
  }

  @Test(
    arguments: [
      ("x-priority", 5, " of queue type rabbit_stream_queue"),
      ("x-stream-offset", "5", ": {invalid_stream_offset_arg,{longstr,<<\"5\">>}}"),
      ("x-stream-offset", "1h1m", ": {invalid_stream_offset_arg,{longstr,<<\"1h1m\">>}}"),
      ("x-stream-offset", true, ": {invalid_stream_offset_arg,{bool,true}}"),
      ("x-stream-offset", "1M", nil), ("x-anything", 1, nil),
    ] as [(ByteString, FieldValue, String?)])
  func `a reader has arguments of its own`(name: ByteString, value: FieldValue, text: String?) throws {
    let house = try StreamHouse()
    let queue = try house.queue
    let expected = text.map { "invalid arg '\(name)' for queue 's' in vhost '/'" + $0 }
    #expect(refusal { try queue.checkConsumeArguments([name: value]) }?.text == expected)
  }

  @Test func `a filter lets through what it names, and what names nothing if it is asked to`() throws {
    let house = try StreamHouse()
    for (number, value) in ["a", "b", nil, "a", "c"].enumerated() {
      var headers: FieldTable = ["other": 1]
      if let value { headers["x-stream-filter-value"] = .string(ByteString(value)) }
      try house.queue.enqueue(.of("\(number)", properties: BasicProperties(headers: headers)))
    }
    try house.queue.enqueue(.of("5"))
    house.core.settle()
    func read(_ arguments: FieldTable) throws -> [String] {
      let careful = try house.reader("first", prefetch: 1, arguments)
      return try careful.texts + house.reader("first", arguments).texts
    }
    #expect(try read(["x-stream-filter": "a"]) == ["0", "0", "3"])
    #expect(try read(["x-stream-filter": .array(["b", "c", 1])]) == ["1", "1", "4"])
    #expect(
      try read(["x-stream-filter": "b", "x-stream-match-unfiltered": true]) == ["1", "1", "2", "5"])
    #expect(try read(["x-stream-filter": .array([])]) == [])
  }

  @Test func `the offset stands among a message's own headers, and takes the place of another's`() throws {
    let house = try StreamHouse()
    var properties = BasicProperties()
    properties.contentType = "text"
    properties.contentEncoding = "none"
    properties.messageID = "m"
    try house.queue.enqueue(.of("a", properties: properties))
    properties.headers = ["own": "x"]
    try house.queue.enqueue(.of("b", properties: properties))
    properties.headers = ["x-stream-offset": 77, "own": "x"]
    try house.queue.enqueue(.of("c", exchange: "e", key: "k", properties: properties))
    house.core.settle()
    let found = try house.reader("first").deliveries
    for (index, headers) in [
      ["x-stream-offset": 0], ["own": "x", "x-stream-offset": 1], ["x-stream-offset": 2, "own": "x"],
    ].enumerated() as EnumeratedSequence<[FieldTable]> {
      let seen = try BasicProperties(found[index].message.properties)
      #expect(seen.headers == headers && seen.messageID == "m" && seen.contentEncoding == "none")
    }
    #expect(found.map(\.text) == ["a", "b", "c"])
    #expect(ByteString(found[2].message.exchange) == "e" && ByteString(found[2].message.routingKey) == "k")
  }

  @Test func `whole segments go when there are too many octets, and the newest stays`() throws {
    // A message is about 35 octets.
    let house = try StreamHouse(["x-max-length-bytes": 1000, "x-stream-max-segment-size-bytes": 200])
    try house.publish(10..<110)
    let left = try house.read()
    #expect(left.last == "109" && left.count > 15 && left.count < 40)
    #expect(left == texts(110 - left.count..<110))
    #expect(try house.queue.readyCount == left.count)
    // They are looked at when a segment begins, and at the start.
    #expect(try house.queue.readyOctets <= 1000 + 200 + 35)
    #expect(house.core.store.messageCount == left.count)
    #expect(try house.reader(.int32(3)).offsets.first == Int64(100 - left.count))
    try house.core.crash()
    let again = try house.read()
    #expect(again == left.suffix(again.count) && again.count >= left.count - 7)
    try house.publish(110..<111)
    #expect(try house.reader("last").offsets == [100])
  }

  @Test func `segments whose time is over go when another begins, and after a restart`() throws {
    let house = try StreamHouse(["x-max-age": "1m", "x-stream-max-segment-size-bytes": 100])
    try house.publish(10..<20)
    house.core.clock.advance(seconds: 90)
    #expect(try house.read() == texts(10..<20))
    try house.publish(20..<30)
    let left = try house.read()
    #expect(left.count < 15 && left == texts(30 - left.count..<30))
    house.core.clock.advance(seconds: 90)
    try house.core.crash()
    let newest = try house.read()
    #expect(!newest.isEmpty && newest.count <= 4 && newest.last == "29")
  }

  @Test func `an operator's rules are obeyed at once`() throws {
    let house = try StreamHouse(["x-stream-max-segment-size-bytes": 100])
    try house.publish(0..<50)
    try house.core.vhost.set(
      Policy(name: "p", pattern: "^s$", target: .streams, definition: ["max-length-bytes": 300]))
    house.core.settle()
    let left = try house.read()
    #expect(left.count < 15 && left.last == "49")
  }

  @Test func `a moment is found in memory and in the store`() throws {
    var settings = Settings()
    settings.queueMemoryMaximum = 10 * Ledger.overhead
    let house = try StreamHouse(["x-stream-max-segment-size-bytes": 400], settings)
    let start = house.core.clock.wallMilliseconds / 1000
    for number in 0..<60 {
      try house.publish(number..<number + 1)
      house.core.clock.advance(seconds: 10)
    }
    for _ in 0..<2 {
      for number in [0, 1, 7, 29, 30, 48, 55, 59] {
        let since = FieldValue.timestamp(start + UInt64(number) * 10)
        #expect(try house.reader(since).texts.first == "\(number)")
        #expect(try house.reader(.timestamp(start + UInt64(number) * 10 - 5)).offsets.first == Int64(number))
      }
      #expect(try house.reader("95s").texts.first == "51")
      try house.core.crash()
    }
  }

  @Test func `a stream of many messages holds little memory, whoever reads it`() throws {
    var settings = Settings()
    settings.queueMemoryMaximum = 100 * Ledger.overhead
    let house = try StreamHouse([:], settings)
    try house.publish(0..<20_000, batch: 500)
    #expect(house.core.broker.ledger.octets < 110 * Ledger.overhead)
    let slow = try house.reader("first", prefetch: 1)
    #expect(house.core.broker.ledger.octets < 5000 * (Ledger.overhead + 5))
    #expect(try house.read(prefetch: 1000) == texts(0..<20_000))
    slow.leave()
    #expect(house.core.broker.ledger.octets < 110 * Ledger.overhead)
    house.core.vhost.remove(try house.queue)
    house.core.settle()
    #expect(house.core.broker.ledger.octets == 0 && house.core.store.messageCount == 0)
    // The virtual host's and the user's.
    #expect(house.core.store.definitionCount == 2)
  }

  @Test func `without a store a stream lives in memory`() throws {
    let core = Core()
    let queue = try core.queue("s", durable: true, arguments: StreamHouse.stream())
    let tail = Holder()
    try tail.consume(queue, prefetch: 100)
    for number in 0..<5 { queue.enqueue(.of("\(number)")) }
    let replay = Holder()
    try replay.consume(queue, prefetch: 100, arguments: ["x-stream-offset": "first"])
    #expect(tail.collector.texts == texts(0..<5) && replay.collector.texts == texts(0..<5))
    let last = Holder()
    try last.consume(queue, prefetch: 100, arguments: ["x-stream-offset": "last"])
    #expect(last.offsets == [4])
  }

  @Test func `a reader whose peer does not read waits for it`() throws {
    let house = try StreamHouse()
    try house.publish(0..<100)
    let holder = Holder()
    holder.collector.capacity = 10
    try holder.consume(try house.queue, prefetch: 1000, arguments: ["x-stream-offset": "first"])
    house.core.settle()
    #expect(holder.collector.texts == texts(0..<10))
    holder.collector.capacity = 0
    holder.collector.isOpen = true
    let isMore = try house.queue.drain(atMost: 32)
    #expect(isMore)
    #expect(holder.collector.texts == texts(0..<42))
    try house.queue.drain()
    #expect(holder.collector.texts == texts(0..<100))
  }
}
