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
  public let later = Later()
  public let deadlines: Deadlines
  public internal(set) var vhosts: [ByteString: VirtualHost] = [:]
  private var exchangeTypes: [ByteString: ExchangeTypeMaker] = [:]
  private var headerMatchers: [ByteString: HeaderMatcherMaker] = [:]
  public let ledger: Ledger
  public private(set) lazy var users = Users(broker: self)
  public var census = Census()
  /// A user or a virtual host is gone: its connections are to be closed.
  public var onGone: (Gone) -> Void = { _ in }
  /// Nil where nothing is kept.
  public private(set) var journal: Journal?
  /// Why publishers have to wait; nil if they need not.
  public var alarm: String? { journal?.alarm }
  /// Publishers have to wait, or need not any more.
  public var onAlarm: () -> Void = {}
  private(set) var isRecovering = false
  /// Queues have numbers in the store, never given twice.
  var lastQueueNumber: UInt64 = 0
  private var lastConnection: UInt64 = 0
  private var refusals = 0
  private var refusalLoggedAt: UInt64?

  /// A broker that keeps everything in memory.
  public init(
    settings: Settings = Settings(), clock: any Clock = SystemClock(), logger: Logger = Logger(label: "yutu")
  ) {
    self.settings = settings
    self.clock = clock
    deadlines = Deadlines(clock: clock)
    ledger = Ledger(settings)
    self.logger = logger
    exchangeTypes = [
      "direct": { exchange in if exchange.isDefault { DefaultExchange() } else { Direct() } },
      "fanout": { _ in Fanout() },
      "topic": { _ in Topic() },
      "headers": { _ in Headers() },
    ]
    hooks.authenticators = [users]
    begin()
  }

  /// A broker that goes on where the one before it ended.
  /// - Throws: if the store cannot be read
  public convenience init(
    settings: Settings = Settings(), clock: any Clock = SystemClock(), logger: Logger = Logger(label: "yutu"),
    store: any MessageStore
  ) throws(StoreError) {
    self.init(settings: settings, clock: clock, logger: logger)
    vhosts = [:]
    users.clear()
    let journal = Journal(store, deadlines: deadlines)
    self.journal = journal
    journal.onAlarm = { [unowned self] reason in alarmChanged(reason) }
    isRecovering = true
    try recover(from: store)
    isRecovering = false
    // As in RabbitMQ: a virtual host that was deleted does not come back, be it the last one.
    if vhosts.isEmpty, users.all.isEmpty { begin() }
  }

  /// What a broker without data begins with.
  func begin() {
    let vhost = settings.firstVirtualHost
    makeVirtualHost(vhost, VirtualHostDefinition(description: "Default virtual host"))
    for first in settings.users {
      users.put(
        User(
          name: first.name, password: PasswordHash(of: ByteString(first.password)), tags: first.tags,
          permissions: [vhost: .everything]))
    }
  }

  private func alarmChanged(_ reason: String?) {
    if let reason {
      logger.critical("disk resource limit alarm set: \(reason); publishers are blocked")
      hooks.happened(.alarmRaised("disk"))
      note("alarm.set", ["source": "disk"])
    } else {
      logger.notice("disk resource limit alarm cleared; publishers go on")
      hooks.happened(.alarmCleared("disk"))
      note("alarm.cleared", ["source": "disk"])
    }
    onAlarm()
  }

  /// As an earlier process left it.
  /// - Parameter delayed: its delayed messages
  func recoverVirtualHost(_ definition: Definition, delayed: StoredQueue) {
    let vhost = VirtualHost(name: definition.vhost, broker: self, delayed: delayed)
    vhost.recover(definition.fields)
    vhosts[vhost.name] = vhost
  }

  func nextQueueNumber() -> UInt64 {
    lastQueueNumber += 1
    return lastQueueNumber
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

  /// The process ends in order, and all connections are gone: says so to the store.
  public func endDeliveries() {
    guard journal != nil else { return }
    for vhost in vhosts.values { for queue in vhost.queues { queue.endDeliveries() } }
  }

  // MARK: hooks

  /// Call it after a change of `hooks`: each exchange and queue chooses its filters anew.
  public func hooksChanged() {
    hooks.changed()
    for vhost in vhosts.values { vhost.hooksChanged() }
  }

  /// Publishes what the broker itself has to, a bounded number: after each read batch.
  public func runLater() { later.run() }

  /// Users or what they may do changed: what was remembered of it is stale.
  func accessChanged() {
    hooks.changed()
    for vhost in vhosts.values { vhost.topologyChanged() }
  }

  // MARK: header matchers

  public func knowsHeaderMatcher(_ name: ByteString) -> Bool { headerMatchers[name] != nil }

  /// - Returns: nil if there is no matcher of that name
  /// - Throws: 406 if it refuses the arguments
  func makeHeaderMatcher(_ name: ByteString, for binding: Binding) throws(ProtocolError)
    -> (any HeaderMatcher)?
  {
    guard let make = headerMatchers[name] else { return nil }
    return try make(binding)
  }

  /// Puts a matcher into force, for new bindings and for those whose `x-match` names it. All switch together or
  /// none does.
  /// - Throws: what the first binding was refused for.
  public func install(headerMatcher name: ByteString, _ make: @escaping HeaderMatcherMaker)
    throws(ProtocolError)
  {
    var fresh: [(Headers, Binding, any HeaderMatcher)] = []
    for vhost in vhosts.values {
      for exchange in vhost.exchanges.values {
        guard let headers = exchange.type as? Headers else { continue }
        for binding in headers.bindings(matchedBy: name) {
          fresh.append((headers, binding, try make(binding)))
        }
      }
    }
    headerMatchers[name] = make
    for (headers, binding, matcher) in fresh { headers.setMatcher(matcher, of: binding) }
    for vhost in vhosts.values { vhost.topologyChanged() }
  }

  /// Takes a matcher away from new bindings; those that have it keep it.
  public func withdraw(headerMatcher name: ByteString) { headerMatchers[name] = nil }

  // MARK: exchange types

  /// Makes the type's object for one exchange.
  /// - Throws: 406 for a type that is not known, and what the type says of the exchange's arguments.
  func makeType(of exchange: Exchange) throws(ProtocolError) -> any ExchangeType {
    guard let make = exchangeTypes[exchange.typeName] else {
      throw ProtocolError(.preconditionFailed, "unknown exchange type '\(exchange.typeName)'")
    }
    return try make(exchange)
  }

  public var exchangeTypeNames: [ByteString] { exchangeTypes.keys.sorted() }

  public func knowsExchangeType(_ name: ByteString) -> Bool { exchangeTypes[name] != nil }

  /// Puts a type into force, for new exchanges and for those that have it. All switch together or none does.
  /// - Parameter existing: makes the object for an exchange that has bindings already, and gives it these
  /// - Throws: what the first exchange or binding was refused for.
  public func install(
    exchangeType name: ByteString, _ make: @escaping ExchangeTypeMaker, existing: ExchangeTypeMaker
  ) throws(ProtocolError) {
    var fresh: [(exchange: Exchange, type: any ExchangeType)] = []
    for vhost in vhosts.values {
      for exchange in vhost.exchanges.values where exchange.typeName == name {
        fresh.append((exchange, try existing(exchange)))
      }
    }
    exchangeTypes[name] = make
    for (exchange, type) in fresh {
      exchange.type = type
      exchange.vhost.typeChanged(of: exchange)
    }
  }

  /// As above: each existing exchange gets a new object and all its bindings again.
  public func install(exchangeType name: ByteString, _ make: @escaping ExchangeTypeMaker)
    throws(ProtocolError)
  {
    try install(exchangeType: name, make) { (exchange) throws(ProtocolError) in
      let type = try make(exchange)
      for binding in exchange.orderedBindings { try type.add(binding) }
      return type
    }
  }

  /// Takes a type away from new exchanges; those that have it keep what they have.
  public func withdraw(exchangeType name: ByteString) { exchangeTypes[name] = nil }
}
