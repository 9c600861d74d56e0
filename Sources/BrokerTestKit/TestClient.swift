import AMQPWire

/// An AMQP client for tests: says what it is told, and waits for what is expected. Knows no broker.
///
/// It serves one task. Every wait ends: with what was waited for, with the broker's close as an error, or
/// with the line's silence. What arrives and is not waited for is kept in order.
package final class TestClient {
  package let line: any Line
  /// How many octets go into one write; nil for all at once.
  private let octetsPerWrite: Int?
  private var reader = ArrivalReader()
  /// What has arrived and nobody has taken.
  package private(set) var waiting: [Arrival] = []
  private var history: [Arrival] = []
  private var frameMaximum = Int(WireLimits.handshakeFrameMaximum)

  package init(line: any Line, octetsPerWrite: Int? = nil) {
    self.line = line
    self.octetsPerWrite = octetsPerWrite
  }

  /// Everything that has arrived, a line each.
  package var transcript: [String] { history.map(\.description) }

  // MARK: out

  package func send(octets: [UInt8]) async throws {
    guard let size = octetsPerWrite else { return try await line.send(octets) }
    for start in stride(from: 0, to: octets.count, by: size) {
      try await line.send(Array(octets[start..<min(start + size, octets.count)]))
    }
  }

  package func send(_ method: some Method, on channel: UInt16 = 1) async throws {
    try await send(octets: Octets.method(method, channel: channel))
  }

  package func publish(
    _ body: [UInt8], to exchange: ByteString = "", key: ByteString, mandatory: Bool = false,
    properties: BasicProperties = .init(), on channel: UInt16 = 1
  ) async throws {
    let method = BasicPublish {
      $0.exchange = exchange
      $0.routingKey = key
      $0.mandatory = mandatory
    }
    try await send(
      octets: Octets.publish(
        method, channel: channel, properties: properties, body: body, frameMaximum: frameMaximum))
  }

  package func publish(
    _ body: String, to exchange: ByteString = "", key: ByteString, mandatory: Bool = false,
    properties: BasicProperties = .init(), on channel: UInt16 = 1
  ) async throws {
    try await publish(
      Array(body.utf8), to: exchange, key: key, mandatory: mandatory, properties: properties, on: channel)
  }

  // MARK: in

  /// The first arrival that `wanted` takes, from those that wait or that come. It is taken out.
  /// - Throws: what `refused` makes of an arrival that ends the waiting
  package func next<Found>(
    _ what: String, _ wanted: (Arrival) throws -> Found?
  ) async throws -> Found {
    var looked = 0
    while true {
      while looked < waiting.count {
        if let found = try wanted(waiting[looked]) {
          waiting.remove(at: looked)
          return found
        }
        looked += 1
      }
      var reason = "the line ended"
      do {
        if try await listen() { continue }
      } catch is Silence {
        reason = "nothing came"
      }
      throw Unmet(what: what, reason: reason, seen: history.suffix(20).map(\.description))
    }
  }

  /// Puts what is there into `waiting`, over a line that does not wait.
  /// - Returns: false if there was nothing, or the line has ended
  package func hear() async throws -> Bool {
    do { return try await listen() } catch is Silence { return false }
  }

  /// All that has arrived and nobody has taken.
  package func takeAll() -> [Arrival] {
    defer { waiting.removeAll { if case .end = $0 { false } else { true } } }
    return waiting
  }

  /// Puts what comes next into `waiting`.
  /// - Returns: false if the line has ended
  private func listen() async throws -> Bool {
    if case .end? = waiting.last { return false }
    let arrivals: [Arrival] =
      switch try await line.receive() {
      case .octets(let octets): try reader.read(octets)
      case .end: [.end]
      }
    history += arrivals
    waiting += arrivals
    return true
  }

  /// The next method of that type on the channel, with its content. A close ends the waiting.
  package func next<Wanted: Method>(
    _ type: Wanted.Type = Wanted.self, on channel: UInt16 = 1
  ) async throws -> (method: Wanted, content: Content?) {
    try await next("\(type) on channel \(channel)") { arrival in
      guard case .method(let received) = arrival else { return nil }
      if received.channel == channel, let method = received.method as? Wanted {
        return (method, received.content)
      }
      switch received.method {
      case let close as ConnectionClose: throw Closed(close)
      case let close as ChannelClose where received.channel == channel: throw Closed(close)
      default: return nil
      }
    }
  }

  /// Sends a method and waits for its answer.
  @discardableResult
  package func call<Reply: Method>(
    _ method: some Method, on channel: UInt16 = 1, _ reply: Reply.Type = Reply.self
  ) async throws -> Reply {
    try await send(method, on: channel)
    return try await next(reply, on: channel).method
  }

  /// The next so many deliveries on the channel.
  package func deliveries(_ count: Int, on channel: UInt16 = 1) async throws -> [Delivery] {
    var all: [Delivery] = []
    while all.count < count {
      let (method, content) = try await next(BasicDeliver.self, on: channel)
      guard let content else { throw Malformed(description: "a delivery without content") }
      all.append(Delivery(method: method, content: content))
    }
    return all
  }

  package struct Delivery {
    package let method: BasicDeliver
    package let content: Content
    package var text: String { content.text }
  }

  /// What the broker says when it ends a channel or the connection.
  package struct Closed: Error, Equatable, CustomStringConvertible {
    package let code: UInt16
    package let text: String
    package let method: MethodID
    package let wholeConnection: Bool

    init(_ close: ConnectionClose) {
      code = close.replyCode
      text = close.replyText.text
      method = MethodID(close.classID, close.methodID)
      wholeConnection = true
    }

    init(_ close: ChannelClose) {
      code = close.replyCode
      text = close.replyText.text
      method = MethodID(close.classID, close.methodID)
      wholeConnection = false
    }

    package var description: String {
      "\(wholeConnection ? "connection" : "channel") closed: \(code) \(text) (\(method))"
    }
  }

  /// What was waited for did not come.
  package struct Unmet: Error, CustomStringConvertible {
    package let what: String
    package let reason: String
    package let seen: [String]
    package var description: String {
      "waited for \(what): \(reason). Seen:\n" + seen.joined(separator: "\n")
    }
  }

  /// From now on frames go out, and are expected, of at most so many octets.
  package func agree(frameMaximum: UInt32) {
    self.frameMaximum = Int(frameMaximum)
    reader.frameMaximum = Int(frameMaximum)
  }
}
