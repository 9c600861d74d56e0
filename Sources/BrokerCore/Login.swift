import AMQPWire

/// How a login is decided: authenticators one after the other, the broker's own users first among them.
/// Knows no connection and no mechanism.

extension Hooks {
  /// Asks the authenticators in their order until one knows the user. As in RabbitMQ a wrong password for one
  /// is no reason not to ask the next, whose user of that name may have another.
  /// - Returns: never `unknown`
  public func authenticate(_ login: LoginRequest) -> Answer<LoginAnswer> {
    let stranger = LoginAnswer.denied(describeStranger(login))
    return Answer.first(of: authenticators[...], or: stranger) {
      $0.authenticate(login)
    } isKnown: {
      if case .unknown = $0 { false } else { true }
    }
  }

  private func describeStranger(_ login: LoginRequest) -> String {
    let user = login.user ?? ""
    return authenticators.allSatisfy { $0 is InternalUsers }
      ? InternalUsers.invalidCredentials(of: user) : "no authenticator knows user '\(user)'"
  }

  /// Asks the authorizers in their order until one has an opinion.
  public func authorize(
    _ request: AccessRequest, _ identity: Identity, _ peer: PeerAddress
  ) -> Answer<AccessAnswer> {
    Answer.first(of: authorizers[...], or: .unknown) {
      $0.authorize(request, identity, peer)
    } isKnown: {
      if case .unknown = $0 { false } else { true }
    }
  }
}

extension Answer {
  /// Asks one after the other, each when the one before has answered, until one knows.
  /// - Parameter none: the answer if nobody does
  static func first<Asked>(
    of all: ArraySlice<Asked>, or none: Value, _ question: @escaping (Asked) -> Answer<Value>,
    isKnown: @escaping (Value) -> Bool
  ) -> Answer<Value> {
    var rest = all
    while let next = rest.popFirst() {
      switch question(next) {
      case .now(let value): if isKnown(value) { return .now(value) }
      case .later(let pending):
        let answer = Pending<Value>()
        let others = rest
        pending.whenAnswered { value in
          guard !isKnown(value) else { return answer.answer(value) }
          switch first(of: others, or: none, question, isKnown: isKnown) {
          case .now(let value): answer.answer(value)
          case .later(let later): later.whenAnswered { answer.answer($0) }
          }
        }
        return .later(answer)
      }
    }
    return .now(none)
  }
}

/// The users of the settings.
public final class InternalUsers: Authenticator {
  public let name = "internal"
  private let users: [User]
  private let loopbackUsers: Set<String>

  public init(_ settings: Settings) {
    users = settings.users
    loopbackUsers = settings.loopbackUsers
  }

  /// A wrong password is not known here, as an unknown user is not: the next in the chain may know it.
  public func authenticate(_ login: LoginRequest) -> Answer<LoginAnswer> {
    guard let user = login.user, let password = login.password,
      let known = users.first(where: { $0.name.utf8.elementsEqual(user.bytes) }), known.hasPassword(password)
    else { return .now(.unknown) }
    guard login.peer.isLoopback || !loopbackUsers.contains(known.name) else {
      return .now(.denied("user '\(user)' can only connect via localhost"))
    }
    return .now(.allowed(Identity(name: known.name, tags: known.tags)))
  }

  static func invalidCredentials(of user: ByteString) -> String { "user '\(user)' - invalid credentials" }
}
