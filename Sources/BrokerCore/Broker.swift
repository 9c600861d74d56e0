import AMQPWire
import Logging

/// The broker: its virtual hosts, its users, and the exchange types it knows. Knows no socket.
///
/// Everything reachable from here lives on one event loop: there is no lock, and nothing is `Sendable`.
public final class Broker {
  public let settings: Settings
  public let clock: any Clock
  public let logger: Logger
  public let hooks = Hooks()
  public private(set) var vhosts: [ByteString: VirtualHost] = [:]
  private var exchangeTypes: [ByteString: ExchangeTypeMaker] = [:]
  private var lastConnection: UInt64 = 0
  private var refusals = 0
  private var refusalLoggedAt: UInt64?

  public init(
    settings: Settings = Settings(), clock: any Clock = SystemClock(), logger: Logger = Logger(label: "yutu")
  ) {
    self.settings = settings
    self.clock = clock
    self.logger = logger
    exchangeTypes = [
      "direct": { exchange in if exchange.isDefault { DefaultExchange() } else { Direct() } },
      "fanout": { _ in Fanout() },
      "topic": { _ in Topic() },
      "headers": { _ in Headers() },
    ]
    addVirtualHost("/")
    hooks.authenticators = [InternalUsers(settings)]
  }

  @discardableResult
  public func addVirtualHost(_ name: ByteString) -> VirtualHost {
    if let vhost = vhosts[name] { return vhost }
    let vhost = VirtualHost(name: name, broker: self)
    vhosts[name] = vhost
    return vhost
  }

  public func nextConnectionID() -> ConnectionID {
    lastConnection += 1
    return ConnectionID(lastConnection)
  }

  /// Says why a message was refused, once a second at most: a publisher can be refused faster than a log can
  /// be written.
  public func logRefusal(_ text: () -> String) {
    refusals += 1
    let now = clock.nanoseconds
    guard refusalLoggedAt.map({ now &- $0 >= 1_000_000_000 }) ?? true else { return }
    let others = refusals > 1 ? " (and \(refusals - 1) more since this was last said)" : ""
    refusals = 0
    refusalLoggedAt = now
    logger.info("\(text())\(others)")
  }

  // MARK: exchange types

  /// Makes the type's object for one exchange.
  /// - Throws: 406 for a type that is not known, and what the type says of the exchange's arguments.
  func makeType(of exchange: Exchange) throws(ProtocolError) -> any ExchangeType {
    guard let make = exchangeTypes[exchange.typeName] else {
      throw ProtocolError(.preconditionFailed, "unknown exchange type '\(exchange.typeName)'")
    }
    return try make(exchange)
  }

  public func knowsExchangeType(_ name: ByteString) -> Bool { exchangeTypes[name] != nil }

  /// Puts a type into force, for new exchanges and for those that have it: each of these gets a new object
  /// and all its bindings again. All switch together or none does.
  /// - Throws: what the first exchange or binding was refused for.
  public func install(exchangeType name: ByteString, _ make: @escaping ExchangeTypeMaker)
    throws(ProtocolError)
  {
    var fresh: [(exchange: Exchange, type: any ExchangeType)] = []
    for vhost in vhosts.values {
      for exchange in vhost.exchanges.values where exchange.typeName == name {
        let type = try make(exchange)
        for binding in exchange.orderedBindings { try type.add(binding) }
        fresh.append((exchange, type))
      }
    }
    exchangeTypes[name] = make
    for (exchange, type) in fresh {
      exchange.type = type
      exchange.vhost.topologyChanged()
    }
  }

  /// Takes a type away from new exchanges; those that have it keep what they have.
  public func withdraw(exchangeType name: ByteString) { exchangeTypes[name] = nil }
}
