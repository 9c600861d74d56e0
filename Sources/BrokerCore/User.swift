import AMQPWire

/// A user of the broker itself: how it is known, what it is for, what it may do, and how much of it. Knows no
/// connection.
public struct User: Sendable, Equatable {
  public let name: ByteString
  /// Nil: no password is right.
  public var password: PasswordHash?
  /// What the HTTP API lets it do: administrator, monitoring, policymaker, management; impersonator; others.
  public var tags: [String]
  /// By virtual host; one that is not named is refused.
  public internal(set) var permissions: [ByteString: Permissions]
  /// By virtual host and exchange; exchanges that are not named restrict no routing key.
  public internal(set) var topicPermissions: [ByteString: [ByteString: TopicPermissions]] = [:]
  public var limits = UserLimits()

  public init(
    name: ByteString, password: PasswordHash?, tags: [String] = [],
    permissions: [ByteString: Permissions] = [:]
  ) {
    self.name = name
    self.password = password
    self.tags = tags
    self.permissions = permissions
  }
}

/// Patterns of the names that a user may configure, write to and read from.
public struct Permissions: Sendable, Equatable {
  public var configure: String
  public var write: String
  public var read: String

  public init(configure: String, write: String, read: String) {
    self.configure = configure
    self.write = write
    self.read = read
  }

  public static let everything = Permissions(configure: ".*", write: ".*", read: ".*")
}

/// Patterns of the routing keys that a user may publish and bind with. `{username}`, `{vhost}` and `{client_id}` stand
/// for those of the connection.
public struct TopicPermissions: Sendable, Equatable {
  public var write: String
  public var read: String

  public init(write: String, read: String) {
    self.write = write
    self.read = read
  }
}

/// Nil and negative: without end.
public struct UserLimits: Sendable, Equatable {
  public var connections: Int?
  public var channels: Int?

  public init(connections: Int? = nil, channels: Int? = nil) {
    self.connections = connections
    self.channels = channels
  }
}

// MARK: the store

extension User {
  static func definitionKey(_ name: ByteString) -> [UInt8] { Definition.key(.user, "", name.bytes) }

  var definition: [UInt8] {
    var fields: FieldTable = ["tags": .array(tags.map { .string(ByteString($0)) })]
    var own = FieldTable()
    for (vhost, patterns) in permissions {
      own.append(vhost, Self.array([patterns.configure, patterns.write, patterns.read]))
    }
    fields["permissions"] = .table(own)
    var topics = FieldTable()
    for (vhost, exchanges) in topicPermissions {
      var own = FieldTable()
      for (name, patterns) in exchanges { own.append(name, Self.array([patterns.write, patterns.read])) }
      topics.append(vhost, .table(own))
    }
    fields["topics"] = .table(topics)
    if let password {
      fields["password"] = .bytes(ByteString(password.octets))
      fields["hashing"] = .string(ByteString(password.algorithm.rawValue))
    }
    if let connections = limits.connections { fields["max-connections"] = .int64(Int64(connections)) }
    if let channels = limits.channels { fields["max-channels"] = .int64(Int64(channels)) }
    return Definition.value(fields)
  }

  private static func array(_ texts: [String]) -> FieldValue { .array(texts.map { .string(ByteString($0)) }) }

  /// - Returns: nil if it cannot be read
  init?(name: ByteString, recovered fields: FieldTable) {
    guard case .array(let tags)? = fields["tags"], case .table(let permissions)? = fields["permissions"],
      case .table(let topics)? = fields["topics"]
    else { return nil }
    self.init(name: name, password: nil, tags: tags.compactMap(\.string?.text))
    if case .bytes(let octets)? = fields["password"] {
      guard let algorithm = fields["hashing"]?.string.flatMap({ PasswordHash.Algorithm(rawValue: $0.text) }),
        let hash = PasswordHash(octets: octets.bytes, algorithm)
      else { return nil }
      password = hash
    }
    for (vhost, value) in permissions.fields {
      guard let texts = value.texts, texts.count == 3 else { return nil }
      self.permissions[vhost] = Permissions(configure: texts[0], write: texts[1], read: texts[2])
    }
    for (vhost, value) in topics.fields {
      guard case .table(let exchanges) = value else { return nil }
      for (exchange, value) in exchanges.fields {
        guard let texts = value.texts, texts.count == 2 else { return nil }
        topicPermissions[vhost, default: [:]][exchange] = TopicPermissions(write: texts[0], read: texts[1])
      }
    }
    limits = UserLimits(
      connections: fields["max-connections"]?.integer.map { Int(clamping: $0) },
      channels: fields["max-channels"]?.integer.map { Int(clamping: $0) })
  }
}

extension FieldValue {
  /// An array of strings.
  var texts: [String]? {
    guard case .array(let values) = self else { return nil }
    let texts = values.compactMap(\.string?.text)
    return texts.count == values.count ? texts : nil
  }
}
