import AMQPWire
import BrokerCore

/// How a connection begins: what may come when, and what is negotiated. Knows no socket; does nothing itself.
///
///     header ──> awaitingStartOk ──> authenticating ──> awaitingTuneOk ──> awaitingOpen ──> done
///                                     │  ↺ secure, secure-ok
///                                     └──> login refused (403, or silence)
struct Handshake {
  enum State: String {
    case awaitingStartOk = "starting"
    /// Somebody decides, or the client is to answer a challenge.
    case authenticating = "securing"
    case awaitingTuneOk = "tuning"
    case awaitingOpen = "opening"
    case done = "running"
  }

  private(set) var state = State.awaitingStartOk
  private(set) var channelMaximum: UInt16
  private(set) var frameMaximum: UInt32
  private(set) var heartbeatSeconds: UInt16
  private(set) var clientProperties = FieldTable()
  /// The SASL mechanism that the client has chosen.
  private(set) var mechanism: ByteString = ""
  private let settings: Settings

  init(settings: Settings) {
    self.settings = settings
    channelMaximum = settings.channelMaximum
    frameMaximum = WireLimits.handshakeFrameMaximum
    heartbeatSeconds = settings.heartbeatSeconds
  }

  // MARK: the protocol header

  enum Header {
    /// Fewer than eight octets so far, and those are right.
    case incomplete
    case accepted
    case refused
  }

  /// "AMQP" 0 0 9 1; also the header of 0-9, "AMQP" 1 1 0 9, which RabbitMQ takes for it.
  static func headerReceived(_ octets: UnsafeRawBufferPointer) -> Header {
    guard octets.count >= 8 else {
      return "AMQP".utf8.starts(with: octets.prefix(4)) ? .incomplete : .refused
    }
    let first = Array(octets.prefix(8))
    let known: [[UInt8]] = [header, Array("AMQP".utf8) + [1, 1, 0, 9]]
    return known.contains(first) ? .accepted : .refused
  }

  static let header: [UInt8] = Array("AMQP".utf8) + [0, 0, 9, 1]

  /// - Parameter mechanisms: beside those of `Sasl`
  static func start(mechanisms: some Sequence<ByteString>) -> ConnectionStart {
    ConnectionStart {
      $0.versionMajor = 0
      $0.versionMinor = 9
      $0.serverProperties = ServerProperties.table
      $0.mechanisms = Sasl.offered(beside: mechanisms)
      $0.locales = "en_US"
    }
  }

  // MARK: methods

  mutating func startOkReceived(_ method: ConnectionStartOk) throws(ProtocolError) {
    try expect(.awaitingStartOk)
    clientProperties = method.clientProperties
    mechanism = method.mechanism
    state = .authenticating
  }

  func secureOkReceived() throws(ProtocolError) { try expect(.authenticating) }

  mutating func loginAccepted() -> ConnectionTune {
    state = .awaitingTuneOk
    return ConnectionTune {
      $0.channelMax = settings.channelMaximum
      $0.frameMax = settings.frameMaximum
      $0.heartbeat = settings.heartbeatSeconds
    }
  }

  mutating func tuneOkReceived(_ method: ConnectionTuneOk) throws(ProtocolError) {
    try expect(.awaitingTuneOk)
    try Self.check(
      "frame_max", Int(method.frameMax), minimum: Int(WireLimits.frameMinimum),
      maximum: Int(settings.frameMaximum))
    try Self.check("channel_max", Int(method.channelMax), minimum: 1, maximum: Int(settings.channelMaximum))
    frameMaximum = method.frameMax
    channelMaximum = method.channelMax
    heartbeatSeconds = method.heartbeat
    state = .awaitingOpen
  }

  mutating func openReceived() throws(ProtocolError) {
    try expect(.awaitingOpen)
    state = .done
  }

  /// 0 asks for no limit, which a server that has one refuses.
  private static func check(_ what: String, _ value: Int, minimum: Int, maximum: Int) throws(ProtocolError) {
    if value != 0, value < minimum {
      throw ProtocolError(
        .notAllowed, "negotiated \(what) = \(value) is lower than the minimum allowed value (\(minimum))")
    }
    if value == 0 || value > maximum {
      let detail = value == 0 && what == "channel_max" ? " (no limit)" : ""
      throw ProtocolError(
        .notAllowed,
        "negotiated \(what) = \(value)\(detail) is higher than the maximum allowed value (\(maximum))")
    }
  }

  private func expect(_ wanted: State) throws(ProtocolError) {
    guard state == wanted else {
      throw ProtocolError(.channelError, "unexpected method in connection state \(state.rawValue)")
    }
  }

  // MARK: what the client can do

  func clientCan(_ capability: ByteString) -> Bool {
    guard case .table(let capabilities)? = clientProperties["capabilities"] else { return false }
    return capabilities[capability] == .boolean(true)
  }
}

/// What the server says of itself in `connection.start`.
enum ServerProperties {
  /// Clients read `product` and `version` to know how a broker behaves (kombu: whether `basic.qos` means
  /// what RabbitMQ means by it), so they name the RabbitMQ whose behaviour we give.
  static let table: FieldTable = [
    "capabilities": .table([
      "publisher_confirms": true, "exchange_exchange_bindings": true, "basic.nack": true,
      "consumer_cancel_notify": true, "connection.blocked": true, "consumer_priorities": true,
      "authentication_failure_close": true, "per_consumer_qos": true, "direct_reply_to": true,
    ]),
    "cluster_name": "yutu@localhost",
    "copyright": "Copyright the Yutu authors",
    "information": "Licensed under the Apache License 2.0",
    "platform": .string(ByteString("Yutu \(Version.current), Swift")),
    "product": "RabbitMQ",
    "version": "3.13.7",
  ]
}

package enum Version {
  package static let current = "0.1.0"
}
