/// The reply codes of AMQP 0-9-1 (1.2), and an error that carries one. Knows nothing of who is told.
public enum ReplyCode: UInt16, Sendable {
  case success = 200
  case contentTooLarge = 311
  case noRoute = 312
  case noConsumers = 313
  case connectionForced = 320
  case invalidPath = 402
  case accessRefused = 403
  case notFound = 404
  case resourceLocked = 405
  case preconditionFailed = 406
  case frameError = 501
  case syntaxError = 502
  case commandInvalid = 503
  case channelError = 504
  case unexpectedFrame = 505
  case resourceError = 506
  case notAllowed = 530
  case notImplemented = 540
  case internalError = 541

  /// The name that begins a reply text: "NOT_FOUND - no queue 'q' in vhost '/'".
  public var name: String {
    switch self {
    case .success: "OK"
    case .contentTooLarge: "CONTENT_TOO_LARGE"
    case .noRoute: "NO_ROUTE"
    case .noConsumers: "NO_CONSUMERS"
    case .connectionForced: "CONNECTION_FORCED"
    case .invalidPath: "INVALID_PATH"
    case .accessRefused: "ACCESS_REFUSED"
    case .notFound: "NOT_FOUND"
    case .resourceLocked: "RESOURCE_LOCKED"
    case .preconditionFailed: "PRECONDITION_FAILED"
    case .frameError: "FRAME_ERROR"
    case .syntaxError: "SYNTAX_ERROR"
    case .commandInvalid: "COMMAND_INVALID"
    case .channelError: "CHANNEL_ERROR"
    case .unexpectedFrame: "UNEXPECTED_FRAME"
    case .resourceError: "RESOURCE_ERROR"
    case .notAllowed: "NOT_ALLOWED"
    case .notImplemented: "NOT_IMPLEMENTED"
    case .internalError: "INTERNAL_ERROR"
    }
  }

  /// True when the whole connection ends and not one channel only, as RabbitMQ decides it.
  public var closesConnection: Bool {
    switch self {
    case .success, .contentTooLarge, .noRoute, .noConsumers, .accessRefused, .notFound, .resourceLocked,
      .preconditionFailed:
      false
    default: true
    }
  }
}

/// What a peer got wrong: a code, whose scope says what it ends, and a text that names the thing, the value
/// and what was expected.
public struct ProtocolError: Error, Equatable, Sendable {
  public let code: ReplyCode
  public let text: String

  public init(_ code: ReplyCode, _ text: String) {
    self.code = code
    self.text = text
  }

  /// The text as it goes into a close method, whose field is a short string.
  public var replyText: ByteString { ByteString.short("\(code.name) - \(text)") }
}

extension ByteString {
  /// `text` cut to the 255 octets of a short string, at a character's border.
  public static func short(_ text: String) -> ByteString {
    let octets = Array(text.utf8.prefix(256))
    guard octets.count > 255 else { return ByteString(octets) }
    var end = 255
    // An octet 10xxxxxx continues a character, so that the cut would be within one.
    while octets[end] & 0xC0 == 0x80 { end -= 1 }
    return ByteString(Array(octets[..<end]))
  }
}
