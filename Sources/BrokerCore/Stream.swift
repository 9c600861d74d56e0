import AMQPWire
import DequeModule

/// A stream: a log that many read, each at a place of its own, and that reading leaves as it is
/// (https://www.rabbitmq.com/docs/streams). Knows no channel and no disk.
///
///     first                     tailFirst              readable            next
///     | in the store alone      | in memory too        | not safe yet      |
///     `---- segment ----' `---- segment ----' `---- the newest segment ----'
///
/// An offset is a place in it, given once, and one less than the position in the store. Readers are given what is safe:
/// after a crash no offset is another message's. Without a store all is in memory.
final class Stream {
  private unowned let queue: Queue
  private let journal: Journal?
  private let ledger: Ledger
  private(set) var stored: StoredQueue?
  private(set) var segments = StreamSegments()
  private(set) var readers: [StreamReader] = []

  /// The offset of the first message, of the first that is in memory, and of the next that comes.
  private(set) var first: UInt64 = 0
  private(set) var tailFirst: UInt64 = 0
  private(set) var next: UInt64 = 0
  private var tail: Deque<Entry> = []
  private var weight = 0
  /// Messages below it may be read.
  private(set) var readable: UInt64 = 0
  /// Where the last batch begins that the store has written: what a consumer that asks for the last ones gets.
  private(set) var lastBatch: UInt64 = 0
  /// A segment has begun since it was last looked which of them are to go.
  private var hasNewSegment = false
  /// What a reader holds until it acknowledges: its credit, and no message.
  let credit: QueuedMessage
  private var isClosed = false

  struct Entry {
    let message: Message
    let ticket: Journal.Ticket
    /// When it came, in milliseconds since 1970.
    let time: UInt64
  }

  /// What stays in memory of what the store has: readers that are not far behind share it.
  static let tailOctets = 2_097_152

  /// - Parameter stored: what an earlier process has left in the store
  init(of queue: Queue, stored: StoredQueue? = nil) {
    self.queue = queue
    let broker = queue.vhost.broker
    journal = broker.journal
    ledger = broker.ledger
    credit = QueuedMessage(message: .empty, position: 0)
    guard let journal else { return }
    let stored = stored ?? StoredQueue(number: broker.nextQueueNumber(), journal: journal)
    self.stored = stored
    stored.owner = self
    first = stored.head - 1
    next = max(first, stored.lastPosition)
    segments = StreamSegments(
      stored.segments, octets: stored.recoveredOctets, first: first, next: next)
    for lost in stored.segments where !segments.all.contains(lost) {
      journal.define(lost.key(in: queue.vhost.name, stored.number), nil)
    }
    tailFirst = next
    readable = next
    lastBatch = max(first, next == 0 ? 0 : next - 1)
    giveUpOutdated()
  }

  var count: Int { Int(clamping: next - first) }

  // MARK: in

  // hot:
  func append(_ original: Message) {
    let message = original.inStream(at: next)
    let time = max(queue.vhost.broker.clock.wallMilliseconds, segments.lastTime)
    let octets = message.octets.count
    if let begun = segments.append(
      offset: next, octets: octets, time: time, most: queue.rules.segmentOctets)
    {
      hasNewSegment = true
      if let stored { journal?.define(begun.key(in: queue.vhost.name, stored.number), begun.definition) }
    }
    // "Due" since it came: a stream's records keep that.
    let ticket =
      stored?.append(message, at: next + 1, extra: StoredExtra(dueMilliseconds: time)) ?? 0
    tail.append(Entry(message: message, ticket: ticket, time: time))
    weight += message.weight
    ledger.add(message.weight)
    next += 1
    if stored == nil { becameReadable(upTo: next) }
  }

  /// The store has them, or there is none.
  private func becameReadable(upTo end: UInt64) {
    guard end > readable else { return }
    lastBatch = readable
    readable = end
    if hasNewSegment { giveUpOutdated() }
    deliver()
    forgetTail()
  }

  /// What the store has, and nobody is about to read, need not be in memory.
  private func forgetTail() {
    guard stored != nil else { return }
    while tailFirst < readable, weight > Self.tailOctets || !ledger.allows(weight) { forgetFirst() }
  }

  private func forgetFirst() {
    let octets = tail.removeFirst().message.weight
    tailFirst += 1
    weight -= octets
    ledger.add(-octets)
  }

  // MARK: out

  /// The message at an offset, if it is in memory and safe.
  // hot:
  func entry(at offset: UInt64) -> Message? {
    guard offset >= tailFirst, offset < readable else { return nil }
    return tail[Int(offset - tailFirst)].message
  }

  /// To all who have credit.
  func deliver() {
    for reader in readers { _ = reader.deliver() }
  }

  /// A share to each.
  /// - Returns: whether somebody could have more
  func deliver(atMost share: Int) -> Bool {
    var isMore = false
    for reader in readers where reader.deliver(atMost: share) { isMore = true }
    return isMore
  }

  /// - Throws: what RabbitMQ says of a consumer that does not say how much it can bear, or where it begins
  func checkConsumer(_ consumer: Consumer) throws(ProtocolError) {
    guard consumer.prefetch > 0 else {
      throw ProtocolError(
        .preconditionFailed, "consumer prefetch count is not set for '\(queue.described)'")
    }
    guard !consumer.noAck else {
      throw ProtocolError(
        .notImplemented, "automatic acknowledgement not supported by stream queues \(queue.described)")
    }
    guard consumer.deliveries.limit == 0 else {
      throw ProtocolError(.notImplemented, "\(queue.described) does not support global qos")
    }
  }

  func attach(_ consumer: Consumer) {
    let now = queue.vhost.broker.clock.wallMilliseconds
    let reader = StreamReader(of: self, queue: queue, consumer: consumer)
    consumer.reader = reader
    readers.append(reader)
    reader.begin(at: StreamOffset(consumer.arguments["x-stream-offset"], now: now) ?? .next)
  }

  func detach(_ consumer: Consumer) {
    guard let reader = consumer.reader else { return }
    consumer.reader = nil
    reader.end()
    readers.removeAll { $0 === reader }
  }

  // MARK: what goes

  /// The rules are others now.
  func rulesChanged() { giveUpOutdated() }

  private func giveUpOutdated() {
    hasNewSegment = false
    let now = queue.vhost.broker.clock.wallMilliseconds
    let age = queue.rules.ageMaximumMilliseconds
    let gone = segments.takeOutdated(
      most: queue.rules.octetsMaximum, before: age.map { $0 > now ? 0 : now - $0 } ?? 0, upTo: readable)
    guard let rest = segments.all.first, let start = gone.first else { return }
    if let stored {
      stored.remove(
        first + 1..<rest.first + 1, durable: Int(rest.first - first),
        octets: rest.octetsBefore - start.octetsBefore)
      for segment in gone { journal?.define(segment.key(in: queue.vhost.name, stored.number), nil) }
    }
    first = rest.first
    while tailFirst < first, !tail.isEmpty { forgetFirst() }
    tailFirst = max(tailFirst, first)
    lastBatch = max(lastBatch, first)
  }

  /// The queue is gone.
  func close() {
    isClosed = true
    for reader in readers {
      reader.consumer.reader = nil
      reader.end()
    }
    readers = []
    tail = []
    ledger.add(-weight)
    weight = 0
    guard let stored else { return }
    stored.owner = nil
    for segment in segments.all { journal?.define(segment.key(in: queue.vhost.name, stored.number), nil) }
    journal?.drop(stored)
  }

  // MARK: time

  /// Finds the first message that came at a moment or after it: in memory, or by halves in the store.
  /// - Returns: its offset, or that of the next one to come
  func find(_ time: UInt64) -> Answer<UInt64> {
    let around = segments.around(time, next: next)
    if around.lowerBound >= tailFirst || tail.first.map({ $0.time < time }) ?? false || stored == nil {
      return .now(findInTail(time))
    }
    let pending = Pending<UInt64>()
    findInStore(time, from: around.lowerBound, to: min(around.upperBound, tailFirst), pending)
    return pending.answer
  }

  private func findInTail(_ time: UInt64) -> UInt64 {
    var low = 0
    var high = tail.count
    while low < high {
      let middle = (low + high) / 2
      if tail[middle].time < time { low = middle + 1 } else { high = middle }
    }
    return tailFirst + UInt64(low)
  }

  /// All before the first one came before that moment, and none from the second on.
  private func findInStore(
    _ time: UInt64, from low: UInt64, to high: UInt64, _ found: Pending<UInt64>
  ) {
    guard low < high, let stored, !isClosed else { return found.answer(high) }
    let middle = low + (high - low) / 2
    // What the store lost is passed over: the next that is there stands for it.
    let page = StorePage(
      queue: stored.number, positions: middle + 1..<high + 1, mostMessages: 1, mostOctets: 1,
      respectsRanges: false)
    stored.journal.store.read(page) { [self] read in
      guard let record = read.records.first else {
        return findInStore(time, from: low, to: middle, found)
      }
      if record.extra.dueMilliseconds < time {
        findInStore(time, from: record.position, to: high, found)
      } else {
        findInStore(time, from: low, to: middle, found)
      }
    }
  }
}

extension Stream: StoredQueueOwner {
  /// The store has messages up to a ticket.
  func storeSettled(upTo ticket: Journal.Ticket, wasBlocked: Bool) {
    var end = readable
    while end < next, tail[Int(end - tailFirst)].ticket <= ticket { end += 1 }
    becameReadable(upTo: end)
  }
}

extension Message {
  private static let streamOffset: ByteString = "x-stream-offset"
  /// The header's name, with its length before it, and its type: a long.
  private static let offsetField: [UInt8] =
    [UInt8(streamOffset.count)] + streamOffset.bytes + [UInt8(ascii: "l")]

  /// The message as the readers of a stream see it, with its offset as a header: one copy, whoever reads it.
  // hot:
  fileprivate func inStream(at offset: UInt64) -> Message {
    let (old, index, fields) = (properties, header.properties, headers)
    guard !fields.hasOffset else { return withOffset(offset) }
    let start = old.endOfContentNames(index.flags)
    let rest = start + (index.flags.contains(.headers) ? 4 + fields.count : 0)
    var made = FieldWriter()
    made.put(index.flags.union(.headers).rawValue)
    made.put(UnsafeRawBufferPointer(rebasing: old[2..<start]))
    made.put(UInt32(truncatingIfNeeded: fields.count + Self.offsetField.count + 8))
    made.put(fields)
    made.put(Self.offsetField)
    made.put(offset)
    made.put(UnsafeRawBufferPointer(rebasing: old[rest...]))
    return made.bytes.withUnsafeBytes { octets in
      guard let index = try? PropertyIndex(octets) else { preconditionFailure("a field more can be read") }
      let message = Message.make(
        envelope: envelope, properties: octets, index: index, bodySize: body.count)
      guard message.appendBody(body) else { preconditionFailure("a body fits into a message of its size") }
      return message
    }
  }

  /// It comes from a stream, and has another's offset.
  private func withOffset(_ offset: UInt64) -> Message {
    guard var changed = try? BasicProperties(properties) else { return self }
    changed.headers?[Self.streamOffset] = .int64(Int64(clamping: offset))
    return (try? withProperties(changed)) ?? self
  }
}

extension UnsafeRawBufferPointer {
  /// Of properties: where the headers stand, or would.
  // hot:
  fileprivate func endOfContentNames(_ flags: PropertyFlags) -> Int {
    var end = 2
    if flags.contains(.contentType) { end += 1 + Int(self[end]) }
    if flags.contains(.contentEncoding) { end += 1 + Int(self[end]) }
    return end
  }

  // hot:
  fileprivate var hasOffset: Bool {
    var found = false
    if !isEmpty {
      FieldReader.forEachField(of: self) { name, _, _ in
        if name.elementsEqual("x-stream-offset".utf8) { found = true }
      }
    }
    return found
  }
}
