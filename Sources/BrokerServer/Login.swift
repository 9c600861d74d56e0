import AMQPWire
import BrokerCore
import Logging

/// How a client logs in: by PLAIN or AMQPLAIN, whose user the authenticators are asked about, or by another
/// mechanism, step by step; and what new credentials change. Knows no frame.
struct Login {
  /// With a mechanism that is not our own.
  fileprivate var conversation: (any SaslConversation)?
  fileprivate var challenges = 0
  /// Whom the client says it is, as far as it does.
  fileprivate var user: ByteString = ""

  /// The client is gone, or has had all its time.
  mutating func abandon() {
    conversation?.abandon()
    conversation = nil
  }
}

extension ClientConnection {
  /// - Throws: 502 if the response is not what the mechanism says, 503 if there is no such mechanism
  func logIn(_ method: ConnectionStartOk) throws(ProtocolError) {
    var request = LoginRequest(
      mechanism: method.mechanism.text, user: nil, password: nil, response: method.response,
      peer: peer.address, clientProperties: method.clientProperties)
    if let mechanism = Sasl(rawValue: request.mechanism) {
      let credentials = try mechanism.credentials(from: method.response)
      request.user = credentials.user
      login.user = credentials.user
      request.password = credentials.password
      take(broker.hooks.authenticate(request)) { [weak self] in self?.loginDecided($0) }
    } else if let mechanism = broker.hooks.saslMechanisms[method.mechanism] {
      login.conversation = mechanism.begin(request)
      converse(nil)
    } else {
      throw ProtocolError(.commandInvalid, "unknown authentication mechanism '\(method.mechanism)'")
    }
  }

  /// - Parameter response: to the last challenge
  func converse(_ response: ByteString?) {
    guard let conversation = login.conversation else { return }
    take(conversation.step(response)) { [weak self] in self?.stepDecided($0) }
  }

  private func stepDecided(_ step: SaslStep) {
    switch step {
    case .challenge(let challenge):
      login.challenges += 1
      guard login.challenges <= Settings.challengeMaximum else {
        return refuseLogin("more than \(Settings.challengeMaximum) challenges")
      }
      outbox.send(ConnectionSecure { $0.challenge = challenge }, channel: 0)
    case .done(let answer):
      login.conversation = nil
      loginDecided(answer)
    }
  }

  private func loginDecided(_ answer: LoginAnswer) {
    switch answer {
    case .allowed(let identity):
      noteLogin(identity.nameOctets)
      accept(identity)
    case .denied(let reason): refuseLogin(reason)
    case .unknown: refuseLogin("the mechanism does not know the client")
    }
  }

  private func refuseLogin(_ reason: String) {
    noteLogin(login.user, failure: reason)
    broker.logger.warning("\(peer): \(handshake.mechanism) login refused: \(reason)")
    guard handshake.clientCan("authentication_failure_close") else { return end("login refused") }
    close(
      ProtocolError(
        .accessRefused,
        "Login was refused using authentication mechanism \(handshake.mechanism). For details see the "
          + "broker logfile."), method: nil)
  }

  func checkAccess(to vhost: VirtualHost) throws(ProtocolError) {
    guard !access.isOpen(in: vhost.name) else { return }
    try check(.init(.connect, .vhost, vhost: vhost.name, name: vhost.name))
  }

  /// The client has new credentials: who may no more read a queue loses its consumers there.
  func updateSecret(_ method: ConnectionUpdateSecret) throws(ProtocolError) {
    guard let vhost else { return }
    access.renew()
    try checkAccess(to: vhost)
    var doomed: [Consumer] = []
    for channel in channels.values {
      for consumer in channel.consumers.values
      where try !isAllowed(.init(.read, .queue, vhost: vhost.name, name: consumer.queue.name)) {
        doomed.append(consumer)
      }
    }
    for consumer in doomed {
      consumer.queue.unsubscribe(consumer)
      consumer.cancelledByQueue()
    }
    outbox.send(ConnectionUpdateSecretOk(), channel: 0)
  }
}
