import AMQPWire

/// A broker as an earlier process left it, from the definitions and cursors of its store. Reads no message: queues
/// do, when somebody wants theirs.

extension Broker {
  /// Far above what is ever given, and far below where counting ends.
  static let mostNumber: UInt64 = 1 << 62

  /// - Throws: if the store cannot be read
  func recover(from store: any MessageStore) throws(StoreError) {
    let recovered = try store.recover()
    for (number, cursor) in recovered.cursors where number > Self.mostNumber || !cursor.isSound {
      throw StoreError("damaged: queue \(number) has the cursor \(cursor)")
    }
    var rest = recovered.cursors
    lastQueueNumber = rest.keys.max() ?? 0
    var bindings: [(vhost: VirtualHost, sequence: UInt64, fields: FieldTable)] = []
    var definitions: [Definition] = []
    for (key, value) in recovered.definitions { definitions.append(try Definition(key, value)) }
    for definition in definitions where definition.kind == .virtualHost || definition.kind == .queue {
      lastQueueNumber = max(lastQueueNumber, try definition.numbers().max() ?? 0)
    }
    let segments = try recoverSegments(definitions)
    func stored(_ definition: Definition) throws(StoreError) -> [StoredQueue] {
      guard let journal else { return [] }
      return try definition.numbers().map {
        let stored = StoredQueue(
          number: $0, journal: journal, cursor: rest.removeValue(forKey: $0) ?? StoreCursor())
        stored.segments = segments[$0] ?? []
        return stored
      }
    }
    for definition in definitions where definition.kind == .virtualHost {
      for delayed in try stored(definition) { recoverVirtualHost(definition, delayed: delayed) }
    }
    for definition in definitions where definition.kind == .user {
      guard let user = User(name: definition.name, recovered: definition.fields) else {
        throw StoreError("the definition of user '\(definition.name)' cannot be read")
      }
      users.recover(user)
    }
    // Before what they are for.
    for definition in definitions { try recoverPolicy(definition) }
    for definition in definitions where definition.kind.isInVirtualHost {
      let (name, fields) = (definition.name, definition.fields)
      guard let vhost = vhosts[definition.vhost] else {
        throw StoreError("damaged: no definition of vhost '\(definition.vhost)'")
      }
      switch definition.kind {
      case .virtualHost, .user, .policy, .operatorPolicy, .segment: continue
      case .exchange:
        guard let asked = ExchangeDefinition(name: name, recovered: fields) else {
          throw StoreError("the definition of \(vhost.describedExchange(name)) cannot be read")
        }
        vhost.recover(asked)
      case .queue:
        guard let asked = QueueDefinition(name: name, recovered: fields) else {
          throw StoreError("the definition of queue '\(name)' in vhost '\(vhost.name)' cannot be read")
        }
        vhost.recover(asked, stored: try stored(definition))
      case .binding:
        let sequence = name.bytes.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
        bindings.append((vhost, sequence, fields))
      }
    }
    bindings.sort { $0.sequence < $1.sequence }
    for (vhost, sequence, fields) in bindings { vhost.recoverBinding(sequence: sequence, fields) }
    // Queues that were not to outlive their process.
    if let journal {
      for number in rest.keys { journal.drop(StoredQueue(number: number, journal: journal)) }
    }
    for vhost in vhosts.values { vhost.recoverDelayed() }
  }

  /// Those of streams, by the number of their queue.
  private func recoverSegments(
    _ definitions: [Definition]
  ) throws(StoreError) -> [UInt64: [StreamSegments.Segment]] {
    var found: [UInt64: [StreamSegments.Segment]] = [:]
    for definition in definitions where definition.kind == .segment {
      guard let (queue, segment) = StreamSegments.Segment.recovered(definition) else {
        throw StoreError("damaged: the definition of a segment in vhost '\(definition.vhost)' cannot be read")
      }
      found[queue, default: []].append(segment)
    }
    return found
  }

  private func recoverPolicy(_ definition: Definition) throws(StoreError) {
    let kind: Policy.Kind
    switch definition.kind {
    case .policy: kind = .user
    case .operatorPolicy: kind = .operator
    default: return
    }
    guard let vhost = vhosts[definition.vhost],
      let policy = Policy(name: definition.name, kind: kind, recovered: definition.fields),
      (try? vhost.policies.put(policy, kind)) != nil
    else {
      throw StoreError(
        "the definition of policy '\(definition.name)' in vhost '\(definition.vhost)' cannot be read")
    }
  }
}

extension StoreCursor {
  /// Positions are in their order, and none so large that counting on would end.
  var isSound: Bool {
    let last = max(tail, deliveredUpTo)
    return last < Broker.mostNumber && head >= 1 && head <= last + 1 && holesBelow <= last + 1 && count >= 0
      && octets >= 0
  }
}

extension VirtualHost {
  fileprivate func recover(_ definition: ExchangeDefinition) {
    let exchange = Exchange(definition, vhost: self)
    do throws(ProtocolError) {
      exchange.type = try broker.makeType(of: exchange)
    } catch {
      // Its plugin is loaded later, or is not there any more.
      exchange.type = Unavailable(exchange)
    }
    adopt(exchange)
  }

  fileprivate func recover(_ definition: QueueDefinition, stored: [StoredQueue]) {
    adopt(Queue(definition, vhost: self, stored: stored))
  }

  fileprivate func recoverBinding(sequence: UInt64, _ fields: FieldTable) {
    guard let source = fields["source"]?.string.flatMap({ exchanges[$0] }), let key = fields["key"]?.string,
      let name = fields["destination"]?.string, case .table(let arguments)? = fields["arguments"]
    else {
      return broker.logger.error("binding \(sequence) in vhost '\(self.name)' cannot be read: \(fields)")
    }
    let destination: Binding.Destination
    if fields["to_queue"] == true {
      guard let queue = name.withOctets({ queue(named: $0) }) else { return }
      destination = .queue(queue)
    } else {
      guard let exchange = exchanges[name] else { return }
      destination = .exchange(exchange)
    }
    let binding = Binding(
      source: source, destination: destination, key: key, arguments: arguments, sequence: sequence)
    do throws(ProtocolError) {
      try adopt(binding)
    } catch {
      broker.logger.error("binding '\(key)' of \(describedExchange(source.name)) is lost: \(error.text)")
    }
  }
}

/// The type of an exchange whose plugin is not there: it is kept as it was declared, with its bindings, and refuses
/// messages until the plugin is back.
final class Unavailable: ExchangeType {
  let routesByKeyAlone = false
  private let problem: ProtocolError
  private unowned let broker: Broker

  init(_ exchange: Exchange) {
    broker = exchange.vhost.broker
    problem = ProtocolError(
      .preconditionFailed,
      "type '\(exchange.typeName)' of \(exchange.vhost.describedExchange(exchange.name)) is unavailable: "
        + "no plugin of that name is in force")
  }

  /// Bindings that were there are kept; nobody could say whether a new one is right.
  func add(_ binding: Binding) throws(ProtocolError) {
    guard broker.isRecovering else { throw problem }
  }

  func remove(_ binding: Binding) {}

  func route(_ message: Message, into destinations: Destinations) throws(ProtocolError) { throw problem }
}

/// The same for a binding's matcher: it matches nothing until its plugin is there.
final class UnavailableMatcher: HeaderMatcher {
  func matches(_ message: Message) -> Bool { false }
}
