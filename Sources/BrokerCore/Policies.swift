import AMQPWire

/// The policies of a virtual host, and which of them is in force for a queue or an exchange. Knows no queue's inside.
public struct Policies {
  private var tables: [Policy.Kind: [ByteString: (policy: Policy, pattern: Pattern)]] = [:]

  public func all(_ kind: Policy.Kind) -> [Policy] {
    (tables[kind] ?? [:]).values.map(\.policy).sorted { $0.name < $1.name }
  }

  public var isEmpty: Bool { tables.values.allSatisfy(\.isEmpty) }

  /// - Throws: if its pattern is none
  mutating func put(_ policy: Policy, _ kind: Policy.Kind) throws(Refusal) {
    do throws(PatternError) {
      tables[kind, default: [:]][policy.name] = (policy, try Pattern(policy.pattern))
    } catch {
      throw Refusal(.invalid, "'\(policy.pattern)' is no regular expression: \(error.reason)")
    }
  }

  /// - Returns: false if there is none
  mutating func remove(_ name: ByteString, _ kind: Policy.Kind) -> Bool {
    tables[kind]?.removeValue(forKey: name) != nil
  }

  /// The one in force.
  /// - Parameters:
  ///   - targets: what the thing is: its kind, and its kind of queue
  ///   - unfit: keys that mean nothing to it: a policy with one of them is not for it, as in RabbitMQ
  fileprivate func match(
    _ kind: Policy.Kind, _ name: ByteString, _ targets: Set<Policy.Target>, unfit: Set<ByteString>
  ) -> Policy? {
    guard let table = tables[kind], !table.isEmpty else { return nil }
    var best: Policy?
    for (policy, pattern) in table.values {
      // Of equal ones the first by name, so that it does not hang on chance.
      if let best, (best.priority, policy.name) >= (policy.priority, best.name) { continue }
      guard policy.target == .all || targets.contains(policy.target),
        !policy.definition.fields.contains(where: { unfit.contains($0.name) }),
        name.withOctets({ pattern.matches($0) })
      else { continue }
      best = policy
    }
    return best
  }
}

/// The policies in force for a queue or an exchange.
public struct PoliciesInForce: Equatable, Sendable {
  public var user: Policy?
  public var `operator`: Policy?

  /// What both ask for together.
  public var definition: FieldTable {
    guard let bounds = `operator`?.definition else { return user?.definition ?? [:] }
    guard var merged = user?.definition else { return bounds }
    for (key, bound) in bounds.fields {
      merged[key] = merged[key].map { PolicyKey.merge(key, $0, bound) } ?? bound
    }
    return merged
  }
}

extension Policies {
  func inForce(for exchange: Exchange) -> PoliciesInForce {
    func match(_ kind: Policy.Kind) -> Policy? {
      self.match(kind, exchange.name, [.exchanges], unfit: [])
    }
    return PoliciesInForce(user: match(.user), operator: match(.operator))
  }

  func inForce(for name: ByteString, _ type: QueueType) -> PoliciesInForce {
    func match(_ kind: Policy.Kind) -> Policy? {
      self.match(kind, name, [.queues, type.target], unfit: type.unfitKeys)
    }
    return PoliciesInForce(user: match(.user), operator: match(.operator))
  }
}

/// What `x-queue-type` says.
public enum QueueType: ByteString, Sendable {
  case classic
  case quorum
  case stream

  public init(_ arguments: FieldTable) {
    self = arguments["x-queue-type"]?.string.flatMap { QueueType(rawValue: $0) } ?? .classic
  }

  fileprivate var target: Policy.Target {
    switch self {
    case .classic: .classicQueues
    case .quorum: .quorumQueues
    case .stream: .streams
    }
  }

  fileprivate var unfitKeys: Set<ByteString> {
    switch self {
    case .classic: Self.unfitForClassic
    case .quorum: Self.unfitForQuorum
    case .stream: Self.unfitForStreams
    }
  }

  private static let unfitForClassic: Set<ByteString> = [
    "max-age", "stream-max-segment-size-bytes", "initial-cluster-size", "delivery-limit",
    "dead-letter-strategy", "max-in-memory-length", "max-in-memory-bytes",
  ]
  private static let mirrors: Set<ByteString> = [
    "ha-mode", "ha-params", "ha-sync-mode", "ha-promote-on-shutdown", "ha-promote-on-failure",
  ]
  private static let unfitForQuorum = mirrors.union([
    "queue-mode", "max-age", "stream-max-segment-size-bytes", "initial-cluster-size",
  ])
  private static let unfitForStreams = mirrors.union([
    "expires", "message-ttl", "dead-letter-exchange", "dead-letter-routing-key", "max-length",
    "max-in-memory-length", "max-in-memory-bytes", "overflow", "queue-mode", "delivery-limit",
    "dead-letter-strategy",
  ])

  /// What arguments and policies ask for together, as arguments: numbers the smaller, else the argument; only quorum
  /// queues and streams take some things from the policy.
  func effective(_ arguments: FieldTable, _ policy: FieldTable) -> FieldTable {
    var effective = arguments
    for (key, value) in policy.fields {
      let name = ByteString("x-" + key.text)
      guard let own = arguments[name] else {
        effective[name] = value
        continue
      }
      switch key {
      case "message-ttl", "expires", "max-length", "consumer-timeout":
        effective[name] = PolicyKey.smaller(own, value)
      case "max-length-bytes": effective[name] = self == .stream ? value : PolicyKey.smaller(own, value)
      case "delivery-limit": effective[name] = PolicyKey.merge(key, own, value)
      case "overflow" where self == .quorum: effective[name] = value
      case "max-age", "stream-max-segment-size-bytes", "stream-filter-size-bytes": effective[name] = value
      default: break
      }
    }
    return effective
  }
}

// MARK: an operator's verbs

extension VirtualHost {
  /// Puts a policy into force, for what is there and what will be.
  /// - Throws: if its pattern is none
  public func set(_ policy: Policy, _ kind: Policy.Kind = .user) throws(Refusal) {
    try policies.put(policy, kind)
    broker.journal?.define(definitionKey(policy.name, kind), policy.stored)
    policiesChanged()
    broker.note(
      kind == .user ? "policy.set" : "operator.policy.set",
      [
        "name": .string(policy.name), "vhost": .string(name), "pattern": .string(ByteString(policy.pattern)),
        "apply-to": .string(ByteString(policy.target.rawValue)), "definition": .table(policy.definition),
        "priority": .int64(policy.priority),
      ])
  }

  /// - Throws: if there is none of that name
  public func clearPolicy(_ name: ByteString, _ kind: Policy.Kind = .user) throws(Refusal) {
    guard policies.remove(name, kind) else {
      throw Refusal(.missing, "policy '\(name)' in virtual host '\(self.name)' does not exist")
    }
    broker.journal?.define(definitionKey(name, kind), nil)
    policiesChanged()
    broker.note(
      kind == .user ? "policy.cleared" : "operator.policy.cleared",
      ["name": .string(name), "vhost": .string(self.name)])
  }

  func definitionKey(_ policy: ByteString, _ kind: Policy.Kind) -> [UInt8] {
    Definition.key(kind == .user ? .policy : .operatorPolicy, name, policy.bytes)
  }

  private func policiesChanged() {
    for exchange in exchanges.values { exchange.obeyPolicies() }
    for queue in queues { queue.obeyPolicies() }
    topologyChanged()
  }
}
