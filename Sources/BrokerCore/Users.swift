import AMQPWire

/// The users of the broker itself under their names, and what an operator does with them. Knows no command line.
public final class Users {
  private unowned let broker: Broker
  private var table: [ByteString: User] = [:]

  init(broker: Broker) { self.broker = broker }

  public subscript(name: ByteString) -> User? { table[name] }

  public var all: [User] { table.values.sorted { $0.name < $1.name } }

  /// - Throws: if there is one of that name
  public func add(_ user: User) throws(Refusal) {
    guard table[user.name] == nil else { throw Refusal(.exists, "user '\(user.name)' already exists") }
    put(user)
  }

  /// Adds the user or takes the place of the one there is.
  public func put(_ user: User) {
    let before = table.updateValue(user, forKey: user.name)
    changed(user.name)
    if before == nil { broker.note("user.created", ["name": .string(user.name)]) }
    if let before, before.password != user.password {
      broker.note(
        user.password == nil ? "user.password.cleared" : "user.password.changed", ["name": .string(user.name)]
      )
    }
    if before?.tags ?? [] != user.tags {
      broker.note(
        "user.tags.set",
        ["name": .string(user.name), "tags": .array(user.tags.map { .string(ByteString($0)) })])
    }
  }

  /// As an earlier process left it.
  func recover(_ user: User) { table[user.name] = user }

  func clear() { table = [:] }

  /// Its connections are closed.
  /// - Throws: if there is none
  public func remove(_ name: ByteString) throws(Refusal) {
    _ = try user(name)
    table[name] = nil
    changed(name)
    broker.onGone(.user(name))
    broker.note("user.deleted", ["name": .string(name)])
  }

  /// Changes tags, password or limits.
  /// - Throws: if there is none
  public func change(_ name: ByteString, _ body: (inout User) -> Void) throws(Refusal) {
    var user = try user(name)
    body(&user)
    put(user)
  }

  /// - Parameter permissions: nil takes them away
  /// - Throws: if there is no such user or virtual host, or a pattern is none
  public func permit(_ name: ByteString, in vhost: ByteString, _ permissions: Permissions?) throws(Refusal) {
    var user = try user(name)
    if let permissions {
      try broker.expectVirtualHost(vhost)
      try Self.check([permissions.configure, permissions.write, permissions.read])
    }
    user.permissions[vhost] = permissions
    put(user)
    var facts: FieldTable = ["user": .string(name), "vhost": .string(vhost)]
    if let permissions {
      facts.append("configure", .string(ByteString(permissions.configure)))
      facts.append("write", .string(ByteString(permissions.write)))
      facts.append("read", .string(ByteString(permissions.read)))
    }
    broker.note(permissions == nil ? "permission.deleted" : "permission.created", facts)
  }

  /// - Parameters:
  ///   - exchange: nil means all, to take permissions away
  ///   - permissions: nil takes them away
  /// - Throws: if there is no such user or virtual host, or a pattern is none
  public func permitTopics(
    _ name: ByteString, in vhost: ByteString, exchange: ByteString?, _ permissions: TopicPermissions?
  ) throws(Refusal) {
    var user = try user(name)
    if let permissions {
      try broker.expectVirtualHost(vhost)
      try Self.check([permissions.write, permissions.read])
    }
    if let exchange {
      user.topicPermissions[vhost, default: [:]][exchange] = permissions
    } else {
      user.topicPermissions[vhost] = nil
    }
    if user.topicPermissions[vhost]?.isEmpty ?? false { user.topicPermissions[vhost] = nil }
    put(user)
    var facts: FieldTable = ["user": .string(name), "vhost": .string(vhost)]
    if let exchange { facts.append("exchange", .string(exchange)) }
    broker.note(permissions == nil ? "topic.permission.deleted" : "topic.permission.created", facts)
  }

  /// A virtual host is gone: what was permitted there too.
  func forget(vhost: ByteString) {
    for var user in table.values {
      let had =
        user.permissions.removeValue(forKey: vhost) != nil
        || user.topicPermissions.keys.contains(vhost)
      user.topicPermissions[vhost] = nil
      if had { put(user) }
    }
  }

  private func user(_ name: ByteString) throws(Refusal) -> User {
    guard let user = table[name] else { throw Refusal(.missing, "user '\(name)' does not exist") }
    return user
  }

  private static func check(_ patterns: [String]) throws(Refusal) {
    for text in patterns {
      do throws(PatternError) {
        // What stands for a name is one of its own.
        _ = try Pattern(text.replacing("{username}", with: "").replacing("{client_id}", with: ""))
      } catch {
        throw Refusal(.invalid, "'\(text)' is no regular expression: \(error.reason)")
      }
    }
  }

  private func changed(_ name: ByteString) {
    broker.journal?.define(User.definitionKey(name), table[name]?.definition)
    broker.accessChanged()
  }
}

extension Users: Authenticator {
  public var name: String { "internal" }

  /// A wrong password is not known here, as an unknown user is not: the next in the chain may know it.
  public func authenticate(_ login: LoginRequest) -> Answer<LoginAnswer> {
    guard let name = login.user, let password = login.password else { return .now(.unknown) }
    let user = table[name]
    // The work is the same whether there is such a user or not: nobody learns names by waiting.
    let isRight = (user?.password ?? .ofNobody).matches(password)
    // As in RabbitMQ nobody logs in with an empty password.
    guard let user, user.password != nil, isRight, !password.isEmpty else { return .now(.unknown) }
    let text = name.text
    guard login.peer.isLoopback || !broker.settings.loopbackUsers.contains(text) else {
      return .now(.denied("user '\(name)' can only connect via localhost"))
    }
    return .now(.allowed(Identity(name: text, tags: user.tags, rights: .ofUser)))
  }

  static func invalidCredentials(of user: ByteString) -> String { "user '\(user)' - invalid credentials" }
}
