import AMQPWire

/// An exchange: a name, a type that routes, and the bindings that lead away from it. Knows no queue's inside.
public final class Exchange {
  public let name: ByteString
  public let typeName: ByteString
  public let durable: Bool
  public let autoDelete: Bool
  public let isInternal: Bool
  public let arguments: FieldTable
  /// Where a message goes that nothing matches: as its arguments say, or else the policy in force.
  public private(set) var alternateExchange: ByteString?
  public private(set) var policies = PoliciesInForce()
  public unowned let vhost: VirtualHost
  /// Set right after `init`, and anew when a script is reloaded.
  public internal(set) var type: any ExchangeType = Unrouted()

  /// Bindings that lead away from here, by what they are.
  public private(set) var bindings: [Binding.Identity: Binding] = [:]
  /// Bindings of other exchanges that lead here.
  var incoming: Set<Binding> = []
  var routedStamp: UInt64 = 0
  /// Those of the broker's filters that are for this exchange.
  public private(set) var publishFilters: [any MessageFilter] = []

  init(_ definition: ExchangeDefinition, vhost: VirtualHost) {
    name = definition.name
    typeName = definition.type
    durable = definition.durable
    autoDelete = definition.autoDelete
    isInternal = definition.isInternal
    arguments = definition.arguments
    self.vhost = vhost
    chooseFilters()
    obeyPolicies()
  }

  func chooseFilters() {
    publishFilters = vhost.broker.hooks.publishFilters.filter { $0.isFor(vhost: vhost.name, name: name) }
  }

  func obeyPolicies() {
    policies = vhost.policies.isEmpty || isDefault ? PoliciesInForce() : vhost.policies.inForce(for: self)
    alternateExchange = (arguments["alternate-exchange"] ?? policies.definition["alternate-exchange"])?.string
  }

  public var isDefault: Bool { name.isEmpty }

  /// Bindings in the order in which they were made.
  public var orderedBindings: [Binding] { bindings.values.sorted { $0.sequence < $1.sequence } }

  func insert(_ binding: Binding) throws(ProtocolError) {
    try type.add(binding)
    bindings[binding.identity] = binding
    binding.destination.insertIncoming(binding)
  }

  func remove(_ binding: Binding) {
    guard bindings.removeValue(forKey: binding.identity) != nil else { return }
    type.remove(binding)
    binding.destination.removeIncoming(binding)
  }
}

/// What `exchange.declare` asks for.
public struct ExchangeDefinition: Sendable {
  public var name: ByteString
  public var type: ByteString
  public var durable: Bool
  public var autoDelete: Bool
  public var isInternal: Bool
  public var arguments: FieldTable

  public init(
    name: ByteString, type: ByteString, durable: Bool = false, autoDelete: Bool = false,
    isInternal: Bool = false, arguments: FieldTable = [:]
  ) {
    self.name = name
    self.type = type
    self.durable = durable
    self.autoDelete = autoDelete
    self.isInternal = isInternal
    self.arguments = arguments
  }
}

/// A rule that leads from an exchange to a queue or to another exchange.
public final class Binding {
  /// Two bindings with all of this in common are one (1.7.2.3).
  public struct Identity: Hashable {
    let toQueue: Bool
    let destination: ByteString
    let key: ByteString
    /// As octets: as values, a table that holds a NaN is not equal to itself and would never be found again.
    let arguments: [UInt8]
  }

  public enum Destination {
    case queue(Queue)
    case exchange(Exchange)

    public var name: ByteString {
      switch self {
      case .queue(let queue): queue.name
      case .exchange(let exchange): exchange.name
      }
    }

    fileprivate var isQueue: Bool { if case .queue = self { true } else { false } }

    fileprivate func insertIncoming(_ binding: Binding) {
      switch self {
      case .queue(let queue): queue.incoming.insert(binding)
      case .exchange(let exchange): exchange.incoming.insert(binding)
      }
    }

    fileprivate func removeIncoming(_ binding: Binding) {
      switch self {
      case .queue(let queue): queue.incoming.remove(binding)
      case .exchange(let exchange): exchange.incoming.remove(binding)
      }
    }
  }

  public unowned let source: Exchange
  public let destination: Destination
  public let key: ByteString
  public let arguments: FieldTable
  /// Grows with each binding of a virtual host: the order in which they were made.
  public let sequence: UInt64

  init(source: Exchange, destination: Destination, key: ByteString, arguments: FieldTable, sequence: UInt64) {
    self.source = source
    self.destination = destination
    self.key = key
    self.arguments = arguments
    self.sequence = sequence
  }

  public var identity: Identity {
    var octets = FieldWriter()
    octets.put(table: arguments)
    return Identity(
      toQueue: destination.isQueue, destination: destination.name, key: key, arguments: octets.bytes)
  }
}

extension Binding: Hashable {
  public static func == (left: Binding, right: Binding) -> Bool { left === right }
  public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// The type of an exchange that is not yet wired up.
private final class Unrouted: ExchangeType {
  let routesByKeyAlone = true
  func add(_ binding: Binding) {}
  func remove(_ binding: Binding) {}
  func route(_ message: Message, into destinations: Destinations) {}
}
