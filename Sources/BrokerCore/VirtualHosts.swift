import AMQPWire

/// How virtual hosts are made, changed and taken away. Knows no command line.

/// What an operator says of a virtual host.
public struct VirtualHostDefinition: Sendable, Equatable {
  public var description: String
  public var tags: [String]
  /// `x-queue-type` of queues that are declared without one; nil: classic.
  public var defaultQueueType: ByteString?

  public init(description: String = "", tags: [String] = [], defaultQueueType: ByteString? = nil) {
    self.description = description
    self.tags = tags
    self.defaultQueueType = defaultQueueType
  }
}

/// Nil and negative: without end.
public struct VirtualHostLimits: Sendable, Equatable {
  public var connections: Int?
  public var queues: Int?

  public init(connections: Int? = nil, queues: Int? = nil) {
    self.connections = connections
    self.queues = queues
  }
}

/// Whose connections have to go.
public enum Gone: Sendable, Equatable {
  case user(ByteString)
  case vhost(ByteString)

  /// For `connection.close`, as RabbitMQ says it.
  public var reason: String {
    switch self {
    case .user(let name): "user '\(name)' is deleted"
    case .vhost(let name): "vhost '\(name)' is deleted"
    }
  }
}

extension Broker {
  /// - Throws: if there is one of that name
  @discardableResult
  public func addVirtualHost(
    _ name: ByteString, _ definition: VirtualHostDefinition = VirtualHostDefinition()
  ) throws(Refusal) -> VirtualHost {
    guard vhosts[name] == nil else { throw Refusal(.exists, "virtual host '\(name)' already exists") }
    guard !name.isEmpty, name.count <= 255 else {
      throw Refusal(.invalid, "a virtual host's name has 1 to 255 octets, this one \(name.count)")
    }
    try Self.check(definition)
    return makeVirtualHost(name, definition)
  }

  /// - Throws: if there is none, or the definition cannot be
  public func changeVirtualHost(_ name: ByteString, _ definition: VirtualHostDefinition) throws(Refusal) {
    try Self.check(definition)
    let vhost = try virtualHost(name)
    vhost.definition = definition
    vhost.define()
  }

  /// - Throws: if there is none
  public func limitVirtualHost(_ name: ByteString, _ limits: VirtualHostLimits) throws(Refusal) {
    let vhost = try virtualHost(name)
    vhost.limits = limits
    vhost.define()
    note(
      limits == VirtualHostLimits() ? "vhost.limits.cleared" : "vhost.limits.set", ["vhost": .string(name)])
  }

  /// With all that is in it; its connections are closed.
  /// - Throws: if there is none
  public func removeVirtualHost(_ name: ByteString) throws(Refusal) {
    let vhost = try virtualHost(name)
    vhosts[name] = nil
    onGone(.vhost(name))
    vhost.end()
    users.forget(vhost: name)
    hooks.changed()
    note("vhost.deleted", ["name": .string(name)])
  }

  /// Everything goes; it is as it was without data.
  public func reset() throws(Refusal) {
    for name in vhosts.keys.sorted() { try removeVirtualHost(name) }
    for user in users.all { try users.remove(user.name) }
    begin()
  }

  public func virtualHost(_ name: ByteString) throws(Refusal) -> VirtualHost {
    guard let vhost = vhosts[name] else { throw Refusal(.missing, "virtual host '\(name)' does not exist") }
    return vhost
  }

  func expectVirtualHost(_ name: ByteString) throws(Refusal) { _ = try virtualHost(name) }

  @discardableResult
  func makeVirtualHost(_ name: ByteString, _ definition: VirtualHostDefinition) -> VirtualHost {
    let stored = journal.map { StoredQueue(number: nextQueueNumber(), journal: $0) }
    let vhost = VirtualHost(name: name, broker: self, delayed: stored)
    vhosts[name] = vhost
    vhost.definition = definition
    vhost.define()
    note("vhost.created", ["name": .string(name)])
    return vhost
  }

  private static func check(_ definition: VirtualHostDefinition) throws(Refusal) {
    guard let type = definition.defaultQueueType, !["classic", "quorum", "stream"].contains(type) else {
      return
    }
    throw Refusal(
      .invalid, "default queue type '\(type)' is unknown: expected classic, quorum or stream")
  }
}

extension VirtualHost {
  /// It outlives a restart as it is now.
  func define() {
    guard let number = storedDelayed?.number else { return }
    var fields: FieldTable = [
      "numbers": Definition.numbers([number]), "description": .string(ByteString(definition.description)),
      "tags": .array(definition.tags.map { .string(ByteString($0)) }),
    ]
    if let type = definition.defaultQueueType { fields["default_queue_type"] = .string(type) }
    if let most = limits.connections { fields["max-connections"] = .int64(Int64(most)) }
    if let most = limits.queues { fields["max-queues"] = .int64(Int64(most)) }
    broker.journal?.define(Definition.key(.virtualHost, name), Definition.value(fields))
  }

  /// What an earlier process left.
  func recover(_ fields: FieldTable) {
    definition = VirtualHostDefinition(
      description: fields["description"]?.string?.text ?? "", tags: fields["tags"]?.texts ?? [],
      defaultQueueType: fields["default_queue_type"]?.string)
    limits = VirtualHostLimits(
      connections: fields["max-connections"]?.integer.map { Int(clamping: $0) },
      queues: fields["max-queues"]?.integer.map { Int(clamping: $0) })
  }

  /// - Throws: 406 if there may be no more queues
  public func checkQueueLimit(for name: ByteString) throws(ProtocolError) {
    guard let most = limits.queues, most >= 0, queueCount >= most else { return }
    throw ProtocolError(
      .preconditionFailed,
      "cannot declare queue '\(name)': queue limit in vhost '\(self.name)' (\(most)) is reached")
  }
}
