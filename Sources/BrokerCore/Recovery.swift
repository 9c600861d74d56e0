import AMQPWire

/// A broker as an earlier process left it, from the definitions and cursors of its store. Reads no message: queues
/// do, when somebody wants theirs.

extension Broker {
  /// - Throws: if the store cannot be read
  func recover(from store: any MessageStore) throws(StoreError) {
    let recovered = try store.recover()
    var rest = recovered.cursors
    lastQueueNumber = rest.keys.max() ?? 0
    var bindings: [(vhost: VirtualHost, sequence: UInt64, fields: FieldTable)] = []
    var definitions: [(kind: Definition.Kind, vhost: ByteString, name: ByteString, fields: FieldTable)] = []
    for (key, value) in recovered.definitions { definitions.append(try Definition.read(key, value)) }
    for definition in definitions {
      if let number = definition.fields["number"]?.integer {
        lastQueueNumber = max(lastQueueNumber, UInt64(bitPattern: number))
      }
    }
    func stored(_ fields: FieldTable) throws(StoreError) -> StoredQueue {
      guard let journal, let number = fields["number"]?.integer else {
        throw StoreError("a definition has no number: \(fields)")
      }
      let cursor = rest.removeValue(forKey: UInt64(bitPattern: number)) ?? StoreCursor()
      return StoredQueue(number: UInt64(bitPattern: number), journal: journal, cursor: cursor)
    }
    for definition in definitions where definition.kind == .virtualHost {
      recoverVirtualHost(definition.vhost, delayed: try stored(definition.fields))
    }
    for (kind, vhostName, name, fields) in definitions {
      guard kind != .virtualHost else { continue }
      guard let vhost = vhosts[vhostName] else {
        throw StoreError("vhost '\(vhostName)' is named by a definition and has none")
      }
      switch kind {
      case .virtualHost: continue
      case .exchange:
        guard let asked = ExchangeDefinition(name: name, recovered: fields) else {
          throw StoreError("the definition of \(vhost.describedExchange(name)) cannot be read")
        }
        vhost.recover(asked)
      case .queue:
        guard let asked = QueueDefinition(name: name, recovered: fields) else {
          throw StoreError("the definition of queue '\(name)' in vhost '\(vhostName)' cannot be read")
        }
        vhost.recover(asked, stored: try stored(fields))
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

  fileprivate func recover(_ definition: QueueDefinition, stored: StoredQueue) {
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
