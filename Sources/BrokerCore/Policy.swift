import AMQPWire

/// A policy: what an operator asks of all queues and exchanges whose names match
/// (https://www.rabbitmq.com/docs/policies). Knows no queue's inside.
public struct Policy: Sendable, Equatable {
  public enum Kind: Sendable, CaseIterable {
    case user
    /// Bounds what users ask for.
    case `operator`
  }

  /// By RabbitMQ's names.
  public enum Target: String, Sendable, CaseIterable {
    case all
    case exchanges
    case queues
    case classicQueues = "classic_queues"
    case quorumQueues = "quorum_queues"
    case streams
  }

  public let name: ByteString
  /// A regular expression of names.
  public let pattern: String
  public let target: Target
  /// Of several that match the one with the highest counts.
  public let priority: Int64
  /// By RabbitMQ's keys: arguments without `x-`.
  public let definition: FieldTable

  /// - Throws: what RabbitMQ says of a definition that cannot be
  public init(
    name: ByteString, pattern: String, target: Target = .all, priority: Int64 = 0, definition: FieldTable,
    kind: Kind = .user
  ) throws(Refusal) {
    guard !definition.isEmpty else { throw Refusal(.invalid, "Validation failed\n\nno policy provided\n") }
    for (key, value) in definition.fields {
      guard let rule = PolicyKey.all[key], kind == .user || rule.isForOperators else {
        throw Refusal(
          .invalid,
          "Validation failed\n\n[{<<\"\(key)\">>,\(value.inErlang)}] are not recognised policy settings\n")
      }
      guard rule.isValid(value) else {
        throw Refusal(.invalid, "Validation failed\n\n\(value.inErlang) \(rule.problem)\n")
      }
    }
    self.name = name
    self.pattern = pattern
    self.target = target
    self.priority = priority
    self.definition = definition
  }
}

/// A key that a policy may set.
struct PolicyKey: Sendable {
  let isForOperators: Bool
  /// What an error says behind the value.
  let problem: String
  let isValid: @Sendable (FieldValue) -> Bool

  static let all: [ByteString: PolicyKey] = [
    "alternate-exchange": text("is not a valid alternate exchange name"),
    "consumer-timeout": number(from: 0, "is not a valid consumer timeout"),
    "dead-letter-exchange": text("is not a valid dead letter exchange name"),
    "dead-letter-routing-key": text("is not a valid dead letter routing key"),
    "dead-letter-strategy": word(
      ["at-most-once", "at-least-once"], "is not a valid dead letter strategy"),
    "delivery-limit": number(from: .min, "is not a valid delivery limit", forOperators: true),
    "expires": number(from: 1, "is not a valid queue expiry", forOperators: true),
    "initial-cluster-size": number(from: 0, "is not a valid cluster size"),
    "max-age": PolicyKey(isForOperators: false, problem: "is not a valid max age") { value in
      value.string.map { StreamAge.seconds($0) != nil } ?? false
    },
    "max-in-memory-bytes": number(from: 0, "is not a valid maximum memory in bytes", forOperators: true),
    "max-in-memory-length": number(from: 0, "is not a valid maximum memory in bytes", forOperators: true),
    "max-length": number(from: 0, "is not a valid maximum length", forOperators: true),
    "max-length-bytes": number(from: 0, "is not a valid maximum length in bytes", forOperators: true),
    "message-ttl": number(from: 0, "is not a valid message TTL", forOperators: true),
    "overflow": word(
      ["drop-head", "reject-publish", "reject-publish-dlx"], "is not a valid overflow value",
      forOperators: true),
    "queue-leader-locator": word(
      ["client-local", "balanced", "random", "least-leaders"], "is not a valid queue leader locator value"),
    "queue-mode": word(["default", "lazy"], "is not a valid queue-mode value"),
    "queue-version": number(from: 1, upTo: 2, "is not a valid queue-version value", forOperators: true),
    "stream-filter-size-bytes": number(
      from: 16, upTo: 255, "is not a valid filter size. Valid range is 16-255"),
    "stream-max-segment-size-bytes": number(
      from: 0, upTo: 3_000_000_000, "is not a valid segment size"),
    // Of mirrored queues, which RabbitMQ 3.13 still takes: one node has no mirrors.
    "ha-mode": word(["all", "exactly", "nodes"], "is not a valid ha-mode value"),
    "ha-params": PolicyKey(isForOperators: false, problem: "is not a valid ha-params value") { _ in true },
    "ha-promote-on-failure": word(["always", "when-synced"], "must be \"always\" or \"when-synced\""),
    "ha-promote-on-shutdown": word(["always", "when-synced"], "must be \"always\" or \"when-synced\""),
    "ha-sync-batch-size": number(from: 1, "must be a positive integer"),
    "ha-sync-mode": word(["automatic", "manual"], "must be \"automatic\" or \"manual\""),
  ]

  private static func text(_ problem: String) -> PolicyKey {
    PolicyKey(isForOperators: false, problem: problem) { $0.string != nil }
  }

  private static func word(_ words: [ByteString], _ problem: String, forOperators: Bool = false) -> PolicyKey
  {
    PolicyKey(isForOperators: forOperators, problem: problem) { $0.string.map(words.contains) ?? false }
  }

  private static func number(
    from least: Int64, upTo most: Int64 = .max, _ problem: String, forOperators: Bool = false
  ) -> PolicyKey {
    PolicyKey(isForOperators: forOperators, problem: problem) { value in
      value.integer.map { least <= $0 && $0 <= most } ?? false
    }
  }

  /// Of what a user and an operator ask for.
  static func merge(_ key: ByteString, _ user: FieldValue, _ operator: FieldValue) -> FieldValue {
    switch key {
    case "queue-version", "overflow": `operator`
    case "delivery-limit" where min(user.integer ?? 0, `operator`.integer ?? 0) < 0:
      // Negative is without end.
      .int64(max(user.integer ?? 0, `operator`.integer ?? 0))
    default: smaller(user, `operator`)
    }
  }

  static func smaller(_ left: FieldValue, _ right: FieldValue) -> FieldValue {
    (left.integer ?? .max) <= (right.integer ?? .max) ? left : right
  }
}

extension FieldValue {
  /// As RabbitMQ's error texts show a value.
  fileprivate var inErlang: String {
    if let string { return "<<\"\(string)\">>" }
    return shown
  }
}

// MARK: the store

extension Policy {
  var stored: [UInt8] {
    Definition.value([
      "pattern": .string(ByteString(pattern)), "apply-to": .string(ByteString(target.rawValue)),
      "priority": .int64(priority), "definition": .table(definition),
    ])
  }

  /// - Returns: nil if it cannot be read
  init?(name: ByteString, kind: Kind, recovered fields: FieldTable) {
    guard let pattern = fields["pattern"]?.string,
      let target = fields["apply-to"]?.string.flatMap({ Target(rawValue: $0.text) }),
      let priority = fields["priority"]?.integer, case .table(let definition)? = fields["definition"],
      let policy = try? Policy(
        name: name, pattern: pattern.text, target: target, priority: priority, definition: definition,
        kind: kind)
    else { return nil }
    self = policy
  }
}
