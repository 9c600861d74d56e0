import AMQPWire

/// What a client does as one step: logging in, opening, declaring, leaving. Knows no line.
extension TestClient {
  package struct Options: Sendable {
    package var user = "guest"
    package var password = "guest"
    package var mechanism: ByteString = "PLAIN"
    /// What the mechanism needs; nil makes it of user and password.
    package var response: ByteString?
    package var capabilities: FieldTable = [
      "publisher_confirms": true, "basic.nack": true, "consumer_cancel_notify": true,
      "authentication_failure_close": true, "connection.blocked": true,
    ]
    package var virtualHost: ByteString = "/"
    /// nil takes what the broker offers.
    package var channelMaximum: UInt16?
    package var frameMaximum: UInt32?
    package var heartbeatSeconds: UInt16 = 0

    package init() {}

    package init(_ change: (inout Options) -> Void) {
      self.init()
      change(&self)
    }

    package var startOk: ConnectionStartOk {
      ConnectionStartOk {
        $0.clientProperties = ["product": "test", "capabilities": .table(capabilities)]
        $0.mechanism = mechanism
        $0.response = response ?? ByteString("\0\(user)\0\(password)")
        $0.locale = "en_US"
      }
    }

    package func tuneOk(_ offer: ConnectionTune) -> ConnectionTuneOk {
      ConnectionTuneOk {
        $0.channelMax = channelMaximum ?? offer.channelMax
        $0.frameMax = frameMaximum ?? offer.frameMax
        $0.heartbeat = heartbeatSeconds
      }
    }

    package var open: ConnectionOpen { ConnectionOpen { $0.virtualHost = virtualHost } }
  }

  // MARK: the handshake, as a whole and step by step

  package func logIn(_ options: Options = Options()) async throws {
    try await greet()
    try await tune(options)
    try await call(options.open, on: 0, ConnectionOpenOk.self)
  }

  @discardableResult
  package func greet() async throws -> ConnectionStart {
    try await send(octets: Octets.protocolHeader)
    return try await next(ConnectionStart.self, on: 0).method
  }

  /// `start-ok` to `tune-ok`.
  @discardableResult
  package func tune(_ options: Options = Options()) async throws -> ConnectionTune {
    let offer = try await call(options.startOk, on: 0, ConnectionTune.self)
    let answer = options.tuneOk(offer)
    try await send(answer, on: 0)
    agree(frameMaximum: answer.frameMax)
    return offer
  }

  // MARK: channels

  package func openChannel(_ number: UInt16 = 1) async throws {
    try await call(ChannelOpen(), on: number, ChannelOpenOk.self)
  }

  package func closeChannel(_ number: UInt16 = 1) async throws {
    try await call(ChannelClose { $0.replyCode = 200 }, on: number, ChannelCloseOk.self)
  }

  /// Returns when the broker has handled everything that was sent on the channel before.
  package func fence(_ channel: UInt16 = 1) async throws {
    try await call(ChannelFlow { $0.active = true }, on: channel, ChannelFlowOk.self)
  }

  /// Waits until the broker closes the channel, and answers.
  package func channelError(on channel: UInt16 = 1) async throws -> Closed {
    let close = Closed(try await next(ChannelClose.self, on: channel).method)
    try await send(ChannelCloseOk(), on: channel)
    return close
  }

  // MARK: queues

  @discardableResult
  package func declareQueue(
    _ name: ByteString, on channel: UInt16 = 1, _ more: (inout QueueDeclare) -> Void = { _ in }
  ) async throws -> QueueDeclareOk {
    var method = QueueDeclare { $0.queue = name }
    more(&method)
    return try await call(method, on: channel)
  }

  /// How many messages are ready.
  package func messageCount(_ queue: ByteString, on channel: UInt16 = 1) async throws -> UInt32 {
    try await declareQueue(queue, on: channel) { $0.passive = true }.messageCount
  }

  @discardableResult
  package func consume(
    _ queue: ByteString, tag: ByteString = "tag", noAck: Bool = false, on channel: UInt16 = 1,
    _ more: (inout BasicConsume) -> Void = { _ in }
  ) async throws -> ByteString {
    var method = BasicConsume {
      $0.queue = queue
      $0.consumerTag = tag
      $0.noAck = noAck
    }
    more(&method)
    return try await call(method, on: channel, BasicConsumeOk.self).consumerTag
  }

  package func ack(_ tag: UInt64, multiple: Bool = false, on channel: UInt16 = 1) async throws {
    try await send(
      BasicAck {
        $0.deliveryTag = tag
        $0.multiple = multiple
      }, on: channel)
  }

  /// - Returns: nil if the queue is empty
  package func get(
    _ queue: ByteString, noAck: Bool = true, on channel: UInt16 = 1
  ) async throws -> (method: BasicGetOk, content: Content)? {
    try await send(
      BasicGet {
        $0.queue = queue
        $0.noAck = noAck
      }, on: channel)
    return try await nextGot(on: channel)
  }

  /// The next answer to a `basic.get`.
  package func nextGot(on channel: UInt16 = 1) async throws -> (method: BasicGetOk, content: Content)? {
    let answer = try await next("basic.get-ok or -empty") { arrival in
      guard case .method(let received) = arrival, received.channel == channel else {
        if case .method(let received) = arrival, let close = received.method as? ConnectionClose {
          throw Closed(close)
        }
        return nil as Received?
      }
      if let close = received.method as? ChannelClose { throw Closed(close) }
      return received.method is BasicGetOk || received.method is BasicGetEmpty ? received : nil
    }
    guard let method = answer.method as? BasicGetOk, let content = answer.content else { return nil }
    return (method, content)
  }

  // MARK: the end

  /// Waits until the broker closes the connection, answers, and waits for the end of the line.
  package func connectionError() async throws -> Closed {
    let close = Closed(try await next(ConnectionClose.self, on: 0).method)
    try await send(ConnectionCloseOk(), on: 0)
    try await end()
    return close
  }

  /// Waits for the end of the line.
  package func end() async throws {
    try await next("the end") { arrival in
      if case .end = arrival { () } else { nil }
    }
  }

  /// Leaves in order.
  package func logOut() async throws {
    try await call(ConnectionClose { $0.replyCode = 200 }, on: 0, ConnectionCloseOk.self)
    await line.close()
  }
}
