import AMQPWire

/// Where a consumer begins to read a stream, and what of it it wants: `x-stream-offset`, `x-stream-filter` and
/// `x-stream-match-unfiltered` (https://www.rabbitmq.com/docs/streams#consuming). Knows no stream.
enum StreamOffset: Equatable {
  case first
  /// The last batch that was written.
  case last
  case next
  case offset(UInt64)
  /// The first that came at that moment or after it, in milliseconds since 1970.
  case since(UInt64)

  /// - Parameter now: milliseconds since 1970
  /// - Returns: nil if the value is none
  init?(_ value: FieldValue?, now: UInt64) {
    switch value {
    case nil, .string("next"): self = .next
    case .string("first"): self = .first
    case .string("last"): self = .last
    case .string(let text):
      guard let seconds = StreamAge.seconds(text), seconds > 0 else { return nil }
      let (age, overflow) = seconds.multipliedReportingOverflow(by: 1000)
      self = .since(overflow || age > now ? 0 : now - age)
    case .timestamp(let seconds):
      let (moment, overflow) = seconds.multipliedReportingOverflow(by: 1000)
      self = .since(overflow ? .max : moment)
    case .some(let value):
      guard let offset = value.integer else { return nil }
      // Far above what is ever reached, so that counting on does not end.
      self = .offset(min(UInt64(max(0, offset)), Broker.mostNumber))
    }
  }
}

/// Messages of a stream that a consumer wants, by the header that their publishers gave them.
struct StreamFilter {
  static let header: ByteString = "x-stream-filter-value"
  private let values: [[UInt8]]
  private let matchesUnfiltered: Bool

  /// - Returns: nil where all are wanted
  init?(_ arguments: FieldTable) {
    switch arguments["x-stream-filter"] {
    case .string(let value): values = [value.bytes]
    case .array(let wanted): values = wanted.compactMap { $0.string?.bytes }
    default: return nil
    }
    matchesUnfiltered = arguments["x-stream-match-unfiltered"] == true
  }

  // hot:
  func matches(_ message: Message) -> Bool {
    var isUnfiltered = true
    var found = false
    let headers = message.headers
    guard !headers.isEmpty else { return matchesUnfiltered }
    FieldReader.forEachField(of: headers) { name, type, value in
      guard isUnfiltered, type == UInt8(ascii: "S"), name.elementsEqual(Self.header.bytes) else { return }
      isUnfiltered = false
      for wanted in values where value.elementsEqual(wanted) { found = true }
    }
    return isUnfiltered ? matchesUnfiltered : found
  }
}
