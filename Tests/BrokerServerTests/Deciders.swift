/// Authenticators, mechanisms, authorizers and listeners for tests: they answer now, or when the test says so.
/// They live where the broker lives, and are asked for through it.
import AMQPWire
import BrokerCore
import BrokerTestKit

@testable import BrokerServer

/// Knows users by their names; all have the password "secret".
final class Registrar: Authenticator {
  let name: String
  /// nil is denied.
  var users: [String: Identity?]
  var answersLater = false
  private(set) var asked: [LoginRequest] = []
  private(set) var pending: [(Pending<LoginAnswer>, LoginAnswer)] = []

  init(_ name: String, _ users: [String: Identity?]) {
    self.name = name
    self.users = users
  }

  func authenticate(_ login: LoginRequest) -> Answer<LoginAnswer> {
    asked.append(login)
    let answer: LoginAnswer =
      switch users[login.user?.text ?? ""] {
      case nil: .unknown
      case .some(nil): .denied("\(name) denies")
      case .some(let identity?): login.password == "secret" ? .allowed(identity) : .unknown
      }
    guard answersLater else { return .now(answer) }
    let promise = Pending<LoginAnswer>()
    pending.append((promise, answer))
    return .later(promise)
  }

  /// Gives what it owes, the last first.
  func answerAll() {
    let due = pending.reversed()
    pending = []
    for (promise, answer) in due { promise.answer(answer) }
  }
}

/// A mechanism of challenges: each response has to be the challenge backwards.
final class Backwards: SaslMechanism {
  var challenges: [ByteString]
  var answersLater = false
  fileprivate(set) var abandoned = 0
  fileprivate(set) var pending: [(Pending<SaslStep>, SaslStep)] = []

  init(_ challenges: [ByteString]) { self.challenges = challenges }

  func begin(_ login: LoginRequest) -> any SaslConversation { Conversation(self, login) }

  func answerAll() {
    let due = pending
    pending = []
    for (promise, step) in due { promise.answer(step) }
  }

  private final class Conversation: SaslConversation {
    let mechanism: Backwards
    let login: LoginRequest
    var next = 0

    init(_ mechanism: Backwards, _ login: LoginRequest) {
      self.mechanism = mechanism
      self.login = login
    }

    func step(_ response: ByteString?) -> Answer<SaslStep> {
      let step = decide(response)
      guard mechanism.answersLater else { return .now(step) }
      let promise = Pending<SaslStep>()
      mechanism.pending.append((promise, step))
      return .later(promise)
    }

    private func decide(_ response: ByteString?) -> SaslStep {
      if let response, response.bytes != mechanism.challenges[next - 1].bytes.reversed() {
        return .done(response.isEmpty ? .unknown : .denied("wrong response"))
      }
      guard next < mechanism.challenges.count else {
        return .done(.allowed(Identity(name: "backwards-" + login.response.text)))
      }
      next += 1
      return .challenge(mechanism.challenges[next - 1])
    }

    func abandon() { mechanism.abandoned += 1 }
  }
}

/// Decides what everybody but guest may do: everything that is not refused.
final class Oracle: Authorizer {
  /// As `BrokerCore.AccessRequest.shown`.
  var refused: Set<String> = []
  /// If it is not 0, those are refused too whose length it divides.
  var refusedLengths = 0
  var restrictsGuest = false
  var answersLater = false
  private(set) var asked: [String] = []
  private(set) var pending: [(shown: String, promise: Pending<AccessAnswer>)] = []

  func authorize(
    _ request: BrokerCore.AccessRequest, _ identity: Identity, _ peer: PeerAddress
  ) -> Answer<AccessAnswer> {
    guard identity.name != "guest" || restrictsGuest else { return .now(.allowed) }
    asked.append(request.shown)
    guard answersLater else { return .now(answer(request.shown)) }
    let promise = Pending<AccessAnswer>()
    pending.append((request.shown, promise))
    return .later(promise)
  }

  private func answer(_ shown: String) -> AccessAnswer {
    let isRefused = refused.contains(shown) || refusedLengths > 0 && shown.utf8.count % refusedLengths == 0
    return isRefused ? .denied("the oracle says no") : .allowed
  }

  func answerAll() {
    let due = pending
    pending = []
    for (shown, promise) in due { promise.answer(answer(shown)) }
  }

  func takeAsked() -> [String] {
    defer { asked = [] }
    return asked
  }
}

extension BrokerCore.AccessRequest {
  /// "write queue q", "read topic k of x".
  var shown: String {
    let what = "\(operation.rawValue) \(resource.rawValue) "
    return what + (routingKey.map { "\($0) of \(name)" } ?? name.text)
  }
}

/// Writes down what has happened to connections.
final class Chronicler: EventListener {
  private(set) var lines: [String] = []

  func happened(_ event: Event) {
    switch event {
    case .connectionOpened(let who): lines.append("opened \(who.user) \(who.vhost) \(who.peer.isLoopback)")
    case .connectionClosed(let who, let reason): lines.append("closed \(who.user) \(who.vhost): \(reason)")
    default: break
    }
  }
}

// MARK: how a test finds them

struct NotInstalled: Error {}

extension Broker {
  func registrar(_ name: String) throws -> Registrar {
    for authenticator in hooks.authenticators {
      if let found = authenticator as? Registrar, found.name == name { return found }
    }
    throw NotInstalled()
  }

  func oracle() throws -> Oracle {
    guard let oracle = hooks.authorizers.first as? Oracle else { throw NotInstalled() }
    return oracle
  }

  func backwards() throws -> Backwards {
    guard let mechanism = hooks.saslMechanisms["BACKWARDS"] as? Backwards else { throw NotInstalled() }
    return mechanism
  }

  func chronicle() throws -> [String] {
    guard let listener = hooks.listeners.first as? Chronicler else { throw NotInstalled() }
    return listener.lines
  }
}

extension TestClient.Options {
  static func user(_ name: String, _ change: (inout TestClient.Options) -> Void = { _ in }) -> Self {
    TestClient.Options {
      $0.user = name
      $0.password = "secret"
      change(&$0)
    }
  }
}

extension House {
  /// Installs an oracle, and users whom it restricts.
  func restrict(_ refused: [String] = [], later: Bool = false, users: [String] = ["alice"]) async throws {
    try await inBroker { broker in
      let oracle = Oracle()
      oracle.refused = Set(refused)
      oracle.answersLater = later
      let known = users.map { ($0, Identity(name: $0) as Identity?) }
      broker.hooks.authenticators.append(
        Registrar("restricted", Dictionary(uniqueKeysWithValues: known)))
      broker.hooks.authorizers = [oracle]
      broker.hooksChanged()
    }
  }

  /// Waits until the oracle is asked something, and lets it answer, so many times.
  func oracleAnswers(_ times: Int = 1) async throws {
    for time in 0..<times {
      try await eventually("the oracle is asked, time \(time + 1) of \(times)") {
        try !$0.oracle().pending.isEmpty
      }
      try await inBroker { try $0.oracle().answerAll() }
    }
  }

  /// What the oracle was asked since the last call.
  func asked() async throws -> [String] { try await inBroker { try $0.oracle().takeAsked() } }
}
