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
    return authenticators.allSatisfy { $0 is Users }
      ? Users.invalidCredentials(of: user) : "no authenticator knows user '\(user)'"
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
