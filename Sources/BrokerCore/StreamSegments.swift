import AMQPWire
import DequeModule

/// The segments of a stream: what is given up goes by whole segments, and the newest stays, as in RabbitMQ
/// (https://www.rabbitmq.com/docs/streams#retention). Knows no message.
struct StreamSegments {
  struct Segment: Equatable {
    /// The offset of its first message.
    var first: UInt64
    /// Octets of all messages that ever came before it.
    var octetsBefore: Int
    /// When its first message came, and the last of the segment before it; in milliseconds since 1970.
    var began: UInt64
    var endedBefore: UInt64
  }

  private(set) var all: Deque<Segment> = []
  /// Of all messages that ever came.
  private(set) var octetsEver = 0
  /// When the last message came.
  private(set) var lastTime: UInt64 = 0

  /// So many segments at most are as small as was asked: a stream of many small ones makes larger ones.
  private static let fair = 4096

  init() {}

  /// As an earlier process left them.
  /// - Parameters:
  ///   - octets: of all messages from the first segment on
  ///   - next: the offset that comes next
  init(_ found: [Segment], octets: Int, first: UInt64, next: UInt64) {
    all = Deque(found.filter { first <= $0.first && $0.first < next }.sorted { $0.first < $1.first })
    if first < next, all.first?.first != first {
      // What the store lost of them is as old as can be.
      all.prepend(Segment(first: first, octetsBefore: 0, began: 0, endedBefore: 0))
    }
    octetsEver = (all.first?.octetsBefore ?? 0) + octets
    lastTime = all.last?.began ?? 0
  }

  /// Octets of what is there.
  var octets: Int { octetsEver - (all.first?.octetsBefore ?? octetsEver) }

  /// A message comes.
  /// - Parameter most: octets of a segment
  /// - Returns: the segment that begins with it, if one does
  // hot:
  mutating func append(offset: UInt64, octets count: Int, time: UInt64, most: Int) -> Segment? {
    var begun: Segment?
    if isFull(most) {
      let segment = Segment(first: offset, octetsBefore: octetsEver, began: time, endedBefore: lastTime)
      all.append(segment)
      begun = segment
    }
    octetsEver += count
    lastTime = time
    return begun
  }

  // hot:
  private func isFull(_ most: Int) -> Bool {
    guard let last = all.last else { return true }
    return octetsEver - last.octetsBefore >= max(most, octets / Self.fair)
  }

  /// Takes the first segments out of which there are too many octets, or whose time is over.
  /// - Parameters:
  ///   - most: octets that may stay
  ///   - before: what came before that moment may go
  ///   - safe: the first offset that has to stay
  /// - Returns: the segments that go, the first of them first
  mutating func takeOutdated(most: Int, before: UInt64, upTo safe: UInt64) -> [Segment] {
    var gone: [Segment] = []
    while all.count > 1, all[1].first <= safe, octets > most || all[1].endedBefore < before {
      gone.append(all.removeFirst())
    }
    return gone
  }

  /// Offsets among which the first message stands that came at a moment or after it; the last of them is it if none
  /// before is.
  /// - Parameter next: the offset that comes next
  func around(_ time: UInt64, next: UInt64) -> ClosedRange<UInt64> {
    guard let first = all.first else { return next...next }
    let end = all.first { $0.began >= time }?.first ?? next
    let start = all.last { $0.first < end }?.first ?? first.first
    return start...end
  }
}

/// A segment in the store: a definition of its own.
extension StreamSegments.Segment {
  func key(in vhost: ByteString, _ queue: UInt64) -> [UInt8] {
    var writer = FieldWriter()
    writer.put(queue)
    writer.put(first)
    return Definition.key(.segment, vhost, writer.bytes)
  }

  var definition: [UInt8] {
    Definition.value([
      "before": .int64(Int64(octetsBefore)), "began": .timestamp(began), "ended": .timestamp(endedBefore),
    ])
  }

  /// - Returns: the segment and the number of its queue in the store; nil if it cannot be read
  static func recovered(_ definition: Definition) -> (queue: UInt64, segment: Self)? {
    guard definition.name.count == 16, let before = definition.fields["before"]?.integer, before >= 0,
      case .timestamp(let began)? = definition.fields["began"],
      case .timestamp(let ended)? = definition.fields["ended"]
    else { return nil }
    func number(_ octets: ArraySlice<UInt8>) -> UInt64 { octets.reduce(0) { $0 << 8 | UInt64($1) } }
    let name = definition.name.bytes
    return (
      number(name[..<8]),
      Self(first: number(name[8...]), octetsBefore: Int(before), began: began, endedBefore: ended)
    )
  }
}
