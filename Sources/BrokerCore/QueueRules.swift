import AMQPWire

/// What a queue's arguments ask for, read once (https://www.rabbitmq.com/docs/queues#optional-arguments). The values
/// were checked by `QueueArgument`. Knows no message.
struct QueueRules {
  enum Overflow {
    case dropHead
    case rejectPublish
    case rejectPublishDeadLetter
  }

  /// `x-message-ttl`.
  let timeToLiveMilliseconds: UInt64?
  /// `x-expires`: how long nobody may use the queue.
  let expiresMilliseconds: Int64?
  /// `x-max-length` and `x-max-length-bytes`: of messages that are ready, and of their bodies.
  let countMaximum: Int
  let octetsMaximum: Int
  let overflow: Overflow
  /// `x-max-age`, of a stream.
  let ageMaximumMilliseconds: UInt64?
  /// `x-stream-max-segment-size-bytes`: what a stream gives up goes in such parts.
  let segmentOctets: Int
  /// `x-max-priority`.
  let priorityMaximum: UInt8
  /// `x-consumer-timeout`.
  let consumerTimeoutMilliseconds: Int64?
  /// `x-single-active-consumer`.
  let singleActive: Bool
  let deadLetterExchange: ByteString?
  let deadLetterKey: ByteString?
  /// `x-delivery-limit`: how often a message may come back to a quorum queue.
  let deliveryLimit: Int64?
  /// `x-dead-letter-strategy`: a message stays until all queues that it goes to have it.
  let keepsDeadLetters: Bool

  /// Publishers are refused when it is full.
  let refusesWhenFull: Bool
  /// The first makes room when it is full.
  let dropsWhenFull: Bool

  /// RabbitMQ's.
  private static let standardSegmentOctets = 500_000_000

  init(_ arguments: FieldTable) {
    func number(_ name: ByteString) -> Int64? { arguments[name]?.integer.map { max(0, $0) } }
    timeToLiveMilliseconds = number("x-message-ttl").map { UInt64($0) }
    expiresMilliseconds = number("x-expires")
    countMaximum = number("x-max-length").map { Int(clamping: $0) } ?? .max
    octetsMaximum = number("x-max-length-bytes").map { Int(clamping: $0) } ?? .max
    let isQuorum = QueueType(arguments) == .quorum
    overflow =
      switch arguments["x-overflow"]?.string {
      case "reject-publish": .rejectPublish
      // A quorum queue knows it not, as in RabbitMQ.
      case "reject-publish-dlx" where !isQuorum: .rejectPublishDeadLetter
      default: .dropHead
      }
    ageMaximumMilliseconds = arguments["x-max-age"]?.string.flatMap { StreamAge.seconds($0) }.map {
      $0.multipliedReportingOverflow(by: 1000).partialValue
    }
    segmentOctets =
      number("x-stream-max-segment-size-bytes").map { Int(clamping: $0) } ?? Self.standardSegmentOctets
    priorityMaximum = number("x-max-priority").map { UInt8(clamping: $0) } ?? 0
    consumerTimeoutMilliseconds = number("x-consumer-timeout")
    singleActive = arguments["x-single-active-consumer"] == true
    deadLetterExchange = arguments["x-dead-letter-exchange"]?.string
    deadLetterKey = arguments["x-dead-letter-routing-key"]?.string
    deliveryLimit = isQuorum ? arguments["x-delivery-limit"]?.integer : nil
    keepsDeadLetters =
      isQuorum && arguments["x-dead-letter-strategy"] == "at-least-once" && overflow == .rejectPublish
      && deadLetterExchange != nil
    let isBounded = countMaximum != .max || octetsMaximum != .max
    refusesWhenFull = isBounded && overflow != .dropHead
    dropsWhenFull = isBounded && overflow == .dropHead
  }
}
