import AMQPWire

/// A virtual host: exchanges, queues and bindings under their names, and what may be done with them.
/// Knows no connection.
public final class VirtualHost {
  public let name: ByteString
  public unowned let broker: Broker
  public private(set) var exchanges: [ByteString: Exchange] = [:]
  private var queueTable = OctetMap<Queue>()
  /// Queues behind the addresses of direct reply-to: found by publishes only.
  private var replyQueues = OctetMap<Queue>()
  private var bindingSequence: UInt64 = 0
  /// Changes whenever a route may: channels remember where a key led only while it stands.
  public private(set) var topology: UInt64 = 0
  private lazy var destinations = Destinations(vhost: self)
  /// Who publishes the message that is being routed, for scripts that ask.
  public private(set) var publisher = Identity.none
  /// How long the publisher of the message at hand is to be held back, because a filter says so.
  private var throttleMilliseconds: Int64 = 0
  private var lastContext: FilterContext?
  let storedDelayed: StoredQueue?
  /// What is published and delivered is told to `amq.rabbitmq.trace`.
  public private(set) var isTraced = false
  /// What the operator says of it.
  public internal(set) var definition = VirtualHostDefinition()
  public internal(set) var limits = VirtualHostLimits()
  public internal(set) var policies = Policies()
  private lazy var delayed = Delayed(vhost: self, broker: broker, stored: storedDelayed)

  /// - Parameter delayed: where its delayed messages are kept; nil where nothing is
  init(name: ByteString, broker: Broker, delayed: StoredQueue? = nil) {
    self.name = name
    self.broker = broker
    storedDelayed = delayed
    let standard: [(ByteString, ByteString, Bool)] = [
      ("", "direct", false), ("amq.direct", "direct", false), ("amq.fanout", "fanout", false),
      ("amq.headers", "headers", false), ("amq.match", "headers", false), ("amq.topic", "topic", false),
      ("amq.rabbitmq.trace", "topic", true),
    ]
    var all = standard
    if name == broker.settings.firstVirtualHost {
      all.append((Self.eventExchange, "topic", true))
      if broker.settings.logsToExchange { all.append((Self.logExchange, "topic", true)) }
    }
    for (name, type, isInternal) in all {
      let definition = ExchangeDefinition(name: name, type: type, durable: true, isInternal: isInternal)
      let exchange = Exchange(definition, vhost: self)
      guard let made = try? broker.makeType(of: exchange) else { preconditionFailure("\(type) is built in") }
      exchange.type = made
      exchanges[name] = exchange
    }
  }

  /// Switches the trace on or off. As in RabbitMQ it is off after a restart.
  public func setTracing(_ isOn: Bool) {
    guard isTraced != isOn else { return }
    isTraced = isOn
    hooksChanged()
  }

  func topologyChanged() { topology &+= 1 }

  func typeChanged(of exchange: Exchange) {
    topologyChanged()
    delayed.release(exchange.name)
  }

  func hooksChanged() {
    for exchange in exchanges.values { exchange.chooseFilters() }
    for queue in queueTable.values { queue.chooseFilters() }
    for queue in replyQueues.values { queue.chooseFilters() }
    topologyChanged()
  }

  // MARK: publishing

  /// What became of a message.
  public enum Published {
    /// So many queues have it; with none it was unroutable.
    case queued(Int)
    /// A script dropped it: it counts as accepted.
    case dropped
    /// It is routed later.
    case delayed
    /// A queue has no room for it, and its publisher is to be told. Others may have it.
    case refused
  }

  /// A message on its way: through the filters and routed, but in no queue yet.
  public struct Routed {
    public let message: Message
    public fileprivate(set) var queues: ContiguousArray<Queue> = []
    fileprivate var delays: [Destinations.Delay] = []
    fileprivate var isDropped = false
    /// It goes nowhere because nothing wants it, not because a script says so.
    public var isUnroutable: Bool { queues.isEmpty && delays.isEmpty && !isDropped }
  }

  /// The filters before the exchange, the route, and into the queues.
  /// - Parameters:
  ///   - filtered: it has been through the filters
  ///   - delayedMilliseconds: it comes after a delay
  /// - Throws: when a filter, the exchange or a queue refuses the message. Other queues may have it then.
  // hot:
  public func publish(
    _ message: Message, to exchange: Exchange, by identity: Identity, filtered: Bool = false,
    delayedMilliseconds: Int64? = nil
  ) throws(ProtocolError) -> Published {
    let routed = try prepare(
      message, to: exchange, by: identity, filtered: filtered, delayedMilliseconds: delayedMilliseconds)
    return try enqueue(routed, by: identity)
  }

  /// The filters and the route.
  // hot:
  public func prepare(
    _ message: Message, to exchange: Exchange, by identity: Identity, filtered: Bool = false,
    delayedMilliseconds: Int64? = nil
  ) throws(ProtocolError) -> Routed {
    var message = message
    if !exchange.publishFilters.isEmpty, !filtered {
      switch try filter(message, to: exchange, by: identity) {
      case .pass(let passed): message = passed
      case .dropped: return Routed(message: message, isDropped: true)
      case .delayed(let delayed, let milliseconds):
        return Routed(message: delayed, delays: [.init(exchange: exchange, milliseconds: milliseconds)])
      }
    }
    let destinations = try route(
      message, from: exchange, publisher: identity, delayedMilliseconds: delayedMilliseconds)
    if destinations.isDropped { messageDropped(message, queue: nil, "dropped by its exchange") }
    return Routed(
      message: message, queues: destinations.queues, delays: destinations.delays,
      isDropped: destinations.isDropped)
  }

  /// Into the queues that a route has found.
  /// - Throws: when a filter before a queue refuses the message. Other queues may have it then.
  // hot:
  public func enqueue(_ routed: Routed, by identity: Identity) throws(ProtocolError) -> Published {
    var refusal: String?
    var isRefused = false
    var count = 0
    for queue in routed.queues where !queue.isDeleted {
      count += 1
      guard !queue.enqueueFilters.isEmpty else {
        if queue.enqueue(routed.message) == .refused { isRefused = true }
        continue
      }
      switch queue.offer(routed.message, by: identity) {
      case .taken, .dropped: break
      case .refused(let reason): refusal = reason
      case .full: isRefused = true
      }
    }
    for wait in routed.delays {
      delay(wait.changed ?? routed.message, to: wait.exchange.name, by: identity, wait.milliseconds)
    }
    if let refusal { throw ProtocolError(.preconditionFailed, refusal) }
    if isRefused { return .refused }
    if routed.isDropped { return .dropped }
    return count == 0 && !routed.delays.isEmpty ? .delayed : .queued(count)
  }

  /// The queues of the last publish, if a message with the same key goes to them as well, unseen by any filter.
  public var repeatableQueues: ContiguousArray<Queue>? {
    guard destinations.byKeyAlone, !isTraced, destinations.delays.isEmpty, !destinations.isDropped,
      destinations.queues.allSatisfy(\.enqueueFilters.isEmpty)
    else { return nil }
    return destinations.queues
  }

  /// Where a message goes, valid until the next message is routed.
  /// - Throws: when the exchange refuses the message.
  // hot:
  public func route(
    _ message: Message, from exchange: Exchange, publisher identity: Identity,
    delayedMilliseconds: Int64? = nil
  ) throws(ProtocolError) -> Destinations {
    publisher = identity
    try destinations.resolve(message, from: exchange, delayedMilliseconds: delayedMilliseconds)
    return destinations
  }

  /// As `route`, and tells each step.
  public func explain(
    _ message: Message, from exchange: Exchange, by identity: Identity, _ each: @escaping (RouteStep) -> Void
  ) throws(ProtocolError) -> (queues: [Queue], isDropped: Bool, delays: Int) {
    destinations.trace = each
    defer { destinations.trace = nil }
    let found = try route(message, from: exchange, publisher: identity)
    return (Array(found.queues), found.isDropped, found.delays.count)
  }

  /// Routes the message later; filters do not see it again.
  public func delay(
    _ message: Message, to exchange: ByteString, by identity: Identity, _ milliseconds: Int64
  ) {
    delayed.add(message, to: .exchange(exchange), by: identity, milliseconds)
  }

  func delay(_ message: Message, into queue: Queue, by identity: Identity, _ milliseconds: Int64) {
    delayed.add(message, to: .queue(queue.name), by: identity, milliseconds)
  }

  func recoverDelayed() { delayed.recover() }

  // MARK: filters

  public enum Filtered {
    case pass(Message)
    case dropped
    case delayed(Message, Int64)
  }

  /// Each filter before an exchange sees what those before it changed; a delay begins when all have agreed.
  /// - Throws: 406 if one refuses the message
  // hot:
  public func filter(_ message: Message, to exchange: Exchange, by identity: Identity)
    throws(ProtocolError) -> Filtered
  {
    var message = message
    var delay: Int64?
    let context = context(of: identity)
    for filter in exchange.publishFilters {
      switch filter.run(message, context) {
      case .pass: continue
      case .changed(let changed): message = changed
      case .dropped(let reason):
        messageDropped(message, queue: nil, reason)
        return .dropped
      case .denied(let reason), .failed(let reason): throw ProtocolError(.preconditionFailed, reason)
      case .delayed(let milliseconds, let changed):
        message = changed ?? message
        delay = max(delay ?? 0, milliseconds)
      case .throttled(let milliseconds): throttle(milliseconds)
      }
    }
    return delay.map { .delayed(message, $0) } ?? .pass(message)
  }

  /// The publisher is mostly the one of the last message.
  private func context(of identity: Identity) -> FilterContext {
    if let last = lastContext, last.identity === identity { return last }
    let context = FilterContext(vhost: self, identity: identity)
    lastContext = context
    return context
  }

  func throttle(_ milliseconds: Int64) { throttleMilliseconds = max(throttleMilliseconds, milliseconds) }

  /// How long filters want the publisher to be held back since this was last asked; 0: not at all.
  // hot:
  public func takeThrottle() -> Int64 {
    guard throttleMilliseconds != 0 else { return 0 }
    defer { throttleMilliseconds = 0 }
    return throttleMilliseconds
  }

  func messageDropped(_ message: Message, queue: ByteString?, _ reason: String) {
    broker.hooks.happened(
      .messageDropped(DroppedMessage(message, vhost: name, queue: queue, reason: reason)))
  }

  // MARK: exchanges

  public func exchange(_ name: ByteString) throws(ProtocolError) -> Exchange {
    guard let exchange = exchanges[name] else {
      throw ProtocolError(.notFound, "no \(describedExchange(name))")
    }
    return exchange
  }

  public func describedExchange(_ name: ByteString) -> String {
    "exchange '\(name)' in vhost '\(self.name)'"
  }

  /// Makes an exchange, or checks that the one there is was declared alike.
  /// - Throws: 403 for a reserved name, 406 for another type or other properties, and what the type refuses.
  public func declare(_ asked: ExchangeDefinition, by identity: Identity = .none) throws(ProtocolError) {
    var definition = asked
    // What the broker makes itself is as it is.
    for policy in broker.hooks.declarePolicies where !asked.name.isEmpty && !asked.name.hasPrefix("amq.") {
      let answer = policy.exchangeDeclared(definition, in: name, by: identity)
      definition.arguments = try answer.applied(to: definition.arguments)
    }
    guard broker.knowsExchangeType(definition.type) else {
      throw ProtocolError(.preconditionFailed, "unknown exchange type '\(definition.type)'")
    }
    if let exchange = exchanges[definition.name] {
      return try exchange.expectEqual(to: definition)
    }
    guard !definition.name.hasPrefix("amq.") else {
      throw ProtocolError(
        .accessRefused, "exchange name '\(definition.name)' contains reserved prefix 'amq.*'")
    }
    if let alternate = definition.arguments["alternate-exchange"], alternate.string == nil {
      throw ProtocolError(
        .preconditionFailed,
        "invalid type '\(alternate.typeName)' for arg 'alternate-exchange' in "
          + describedExchange(definition.name))
    }
    let exchange = Exchange(definition, vhost: self)
    exchange.type = try broker.makeType(of: exchange)
    adopt(exchange)
    if exchange.durable { broker.journal?.define(exchange.definitionKey, exchange.definition) }
    broker.hooks.happened(.exchangeCreated(exchange))
    broker.note("exchange.created", exchange.facts.by(identity))
  }

  func adopt(_ exchange: Exchange) {
    exchanges[exchange.name] = exchange
    topologyChanged()
  }

  /// - Throws: 406 if it has bindings and `ifUnused` is asked for. A missing one is no error.
  public func deleteExchange(_ name: ByteString, ifUnused: Bool) throws(ProtocolError) {
    guard let exchange = exchanges[name] else { return }
    if ifUnused, !exchange.bindings.isEmpty {
      throw ProtocolError(.preconditionFailed, "\(describedExchange(name)) in use")
    }
    remove(exchange)
  }

  /// Takes exchanges away, and with them those that go because of it. A list and no recursion: a client can
  /// make the chain as long as it likes.
  private func remove(_ exchange: Exchange) {
    var doomed = [exchange]
    while let next = doomed.popLast() {
      guard exchanges.removeValue(forKey: next.name) != nil else { continue }
      topologyChanged()
      if next.durable { broker.journal?.define(next.definitionKey, nil) }
      broker.hooks.happened(.exchangeDeleted(next))
      broker.note("exchange.deleted", next.facts)
      for binding in next.bindings.values {
        forget(binding)
        next.remove(binding)
      }
      for binding in next.incoming where detach(binding) { doomed.append(binding.source) }
    }
  }

  // MARK: queues

  // hot:
  public func queue(named name: UnsafeRawBufferPointer) -> Queue? { queueTable[name] }

  /// Where a message to the default exchange with that routing key goes.
  // hot:
  func destination(named name: UnsafeRawBufferPointer) -> Queue? {
    queueTable[name] ?? (replyQueues.isEmpty ? nil : replyQueues[name])
  }
  public var queues: [Queue] { queueTable.values }
  public var queueCount: Int { queueTable.count }
  public func hasQueue(_ name: ByteString) -> Bool { queueTable[name] != nil }

  public func queue(_ name: ByteString) throws(ProtocolError) -> Queue {
    guard let queue = queueTable[name] else {
      throw ProtocolError(.notFound, "no queue '\(name)' in vhost '\(self.name)'")
    }
    return queue
  }

  /// A queue that `connection` may use.
  /// - Throws: 404, or 405 if it is another connection's own.
  public func queue(_ name: ByteString, usedBy connection: ConnectionID) throws(ProtocolError) -> Queue {
    let queue = try queue(name)
    guard queue.owner == nil || queue.owner == connection else { throw queue.isLocked }
    return queue
  }

  /// Makes a queue, or checks that the one there is was declared alike.
  /// - Throws: 405 for another connection's exclusive queue, 406 for other properties or wrong arguments.
  public func declare(_ asked: QueueDefinition, by identity: Identity = .none) throws(ProtocolError) -> Queue
  {
    var definition = asked
    for policy in broker.hooks.declarePolicies {
      let answer = policy.queueDeclared(definition, in: name, by: identity)
      definition.arguments = try answer.applied(to: definition.arguments)
    }
    chooseType(of: &definition)
    if let queue = queueTable[definition.name] {
      try queue.expectEqual(to: definition)
      queue.wasUsed()
      return queue
    }
    try definition.checkArguments(in: self)
    try definition.checkQuorum("queue '\(definition.name)' in vhost '\(name)'")
    let queue = Queue(definition, vhost: self)
    adopt(queue)
    queue.define()
    broker.hooks.happened(.queueCreated(queue))
    broker.note("queue.created", queue.facts.by(identity))
    return queue
  }

  /// A queue that says no type, and may be of the one that the operator has chosen, is.
  private func chooseType(of definition: inout QueueDefinition) {
    guard let type = self.definition.defaultQueueType, definition.arguments["x-queue-type"] == nil else {
      return
    }
    let isPlain = definition.durable && definition.owner == nil && !definition.autoDelete
    if type == "classic" || isPlain { definition.arguments["x-queue-type"] = .string(type) }
  }

  /// All that is in it goes; its consumers are told.
  func end() {
    for queue in queueTable.values { remove(queue) }
    for exchange in exchanges.values where !exchange.name.isEmpty { remove(exchange) }
    for kind in Policy.Kind.allCases {
      for policy in policies.all(kind) { broker.journal?.define(definitionKey(policy.name, kind), nil) }
    }
    guard let storedDelayed else { return }
    broker.journal?.drop(storedDelayed)
    broker.journal?.define(Definition.key(.virtualHost, name), nil)
  }

  func adopt(_ queue: Queue) {
    queueTable[queue.name] = queue
    topologyChanged()
  }

  /// A queue for the replies to one channel, gone with its consumer
  /// (https://www.rabbitmq.com/docs/direct-reply-to).
  public func addReplyQueue(address: ByteString, owner: ConnectionID) -> Queue {
    let queue = Queue(QueueDefinition(name: address, owner: owner, autoDelete: true), vhost: self)
    replyQueues[address] = queue
    return queue
  }

  public func hasReplyQueue(_ address: ByteString) -> Bool { replyQueues[address] != nil }

  public func remove(_ queue: Queue) {
    for consumer in takeOut(queue) { consumer.cancelledByQueue() }
  }

  /// Removes a queue.
  /// - Returns: its consumers, who are to be told
  public func takeOut(_ queue: Queue) -> [Consumer] {
    if replyQueues[queue.name] === queue {
      replyQueues[queue.name] = nil
      topologyChanged()
      return queue.close()
    }
    guard queueTable[queue.name] === queue else { return [] }
    queueTable[queue.name] = nil
    topologyChanged()
    for binding in queue.incoming { remove(binding) }
    if queue.durable { broker.journal?.define(queue.definitionKey, nil) }
    defer {
      broker.hooks.happened(.queueDeleted(queue))
      broker.note("queue.deleted", queue.facts)
    }
    return queue.close()
  }

  // MARK: bindings

  /// Binds; a binding that is there already is left as it is.
  public func bind(
    source: Exchange, to destination: Binding.Destination, key: ByteString, arguments: FieldTable
  ) throws(ProtocolError) {
    bindingSequence += 1
    let binding = Binding(
      source: source, destination: destination, key: key, arguments: arguments, sequence: bindingSequence)
    guard source.bindings[binding.identity] == nil else { return }
    try adopt(binding)
    if let journal = broker.journal, binding.isDurable {
      journal.define(binding.definitionKey, binding.definition)
    }
    broker.note("binding.created", binding.facts)
  }

  func adopt(_ binding: Binding) throws(ProtocolError) {
    bindingSequence = max(bindingSequence, binding.sequence)
    try binding.source.insert(binding)
    topologyChanged()
  }

  /// It does not outlive a restart any more.
  private func forget(_ binding: Binding) {
    if let journal = broker.journal, binding.isDurable { journal.define(binding.definitionKey, nil) }
  }

  /// Takes a binding away; one that is not there is no error.
  public func unbind(
    source: Exchange, from destination: Binding.Destination, key: ByteString, arguments: FieldTable
  ) {
    guard let binding = binding(source: source, to: destination, key: key, arguments: arguments) else {
      return
    }
    remove(binding)
  }

  public func binding(
    source: Exchange, to destination: Binding.Destination, key: ByteString, arguments: FieldTable
  ) -> Binding? {
    let wanted = Binding(
      source: source, destination: destination, key: key, arguments: arguments, sequence: 0)
    return source.bindings[wanted.identity]
  }

  public func remove(_ binding: Binding) {
    if detach(binding) { remove(binding.source) }
  }

  /// - Returns: whether the source has to go: an auto-delete exchange does with its last binding
  private func detach(_ binding: Binding) -> Bool {
    let source = binding.source
    forget(binding)
    source.remove(binding)
    topologyChanged()
    broker.note("binding.deleted", binding.facts)
    return source.autoDelete && source.bindings.isEmpty
  }
}
