import AMQPWire

/// What becomes of a message that its queue gives up: `x-death` and the dead letter exchange, as RabbitMQ has
/// them (https://www.rabbitmq.com/docs/dlx). Knows no script.

extension Queue {
  /// The message leaves the queue, or comes back later if a policy says so.
  func die(_ queued: QueuedMessage, _ reason: Death.Reason) {
    let policies = vhost.broker.hooks.deadLetterPolicies
    let exchange = rules.deadLetterExchange
    guard exchange != nil || !policies.isEmpty else { return leave(queued) }
    let level = levels[Int(queued.priority)]
    // Those behind it wait too: dead letters are in order.
    guard !queued.isAway, reason != .rejected || !level.isRejecting else { return level.reject(away: queued) }
    let deaths = Deaths(of: queued.message)
    let death = Death(reason: reason, count: deaths.count(of: name, reason) + 1)
    let context = FilterContext(
      vhost: vhost, identity: .none, queue: self, redelivered: queued.redelivered)
    for policy in policies {
      switch policy.dies(queued.message, death, context) {
      case .pass: continue
      case .dropped(let reason):
        leave(queued)
        return vhost.broker.hooks.happened(
          .messageDropped(DroppedMessage(queued.message, vhost: vhost.name, queue: name, reason: reason)))
      case .delayed(let milliseconds, let changed):
        let dying = changed ?? queued.message
        guard let again = try? deaths.recorded(dying, in: self, reason, keepsExpiration: true) else {
          continue
        }
        return comeBack(queued, as: again, after: milliseconds)
      }
    }
    guard let exchange, let message = try? deadLetter(queued.message, deaths, reason, exchange) else {
      return leave(queued)
    }
    message.header.mayHaveBeenDelivered = level.mayHaveLeft(queued)
    // It leaves this queue when it is in the next one: a crash between the two may double it, and not lose it.
    vhost.broker.later.append(
      LaterMessage(
        vhost: vhost, goal: .deadLetterExchange(exchange), message: message, identity: .none,
        hops: vhost.broker.later.hops + 1,
        whenPublished: { [self] isEverywhere in
          if isEverywhere || !rules.keepsDeadLetters { leave(queued) } else { dieLater(queued, reason) }
        }))
  }

  /// Milliseconds until a dead letter that had nowhere to go, or was refused, tries again: RabbitMQ's are 180,000.
  private static let retryMilliseconds: Int64 = 10_000

  /// With `x-dead-letter-strategy` at-least-once. Until then it is in the queue, and nobody gets it.
  private func dieLater(_ queued: QueuedMessage, _ reason: Death.Reason) {
    vhost.broker.deadlines.after(milliseconds: Self.retryMilliseconds) { [handle = timerHandle()] in
      handle.queue?.die(queued, reason)
    }
  }

  private func deadLetter(
    _ dying: Message, _ deaths: Deaths, _ reason: Death.Reason, _ exchange: ByteString
  ) throws(ProtocolError) -> Message {
    // One that the store has given back has its CC in its headers alone.
    let message = dying.header.extraKeys == nil ? try dying.withExtraKeys() : dying
    let recorded = try deaths.recorded(message, in: self, reason, keepsExpiration: false)
    guard let key = rules.deadLetterKey else {
      let again = try recorded.with(
        try BasicProperties(recorded.properties), exchange: exchange,
        routingKey: ByteString(message.routingKey))
      again.header.extraKeys = message.header.extraKeys
      return again
    }
    // The key stands for all keys: CC, which would bring them back, goes.
    var properties = try BasicProperties(recorded.properties)
    properties.headers?.removeAll("CC")
    return try recorded.with(properties, exchange: exchange, routingKey: key)
  }
}

extension VirtualHost {
  /// Publishing filters do not see dead letters: they were seen when they were published.
  /// - Returns: whether it goes anywhere, and all who are to have it do
  func publishDeadLetter(_ message: Message, to exchange: Exchange) -> Bool {
    let deaths = Deaths(of: message)
    guard let destinations = try? route(message, from: exchange, publisher: .none), !destinations.isDropped
    else {
      return false
    }
    var isEverywhere = !destinations.queues.isEmpty
    for queue in destinations.queues where !deaths.isCycle(to: queue.name) {
      if case .full = queue.offer(message, by: .none) { isEverywhere = false }
    }
    return isEverywhere
  }
}

/// The header `x-death`: an array of tables, the most recent first, one for each queue and reason.
struct Deaths {
  private var entries: [FieldTable] = []

  init(of message: Message) {
    guard message.header.properties.headers.count > 0,
      case .array(let values)? = message.headerTable()["x-death"]
    else { return }
    for case .table(let entry) in values { add(entry) }
  }

  /// Clients and brokers of old have written several entries for the same queue and reason: they count as one.
  private mutating func add(_ entry: FieldTable) {
    guard
      let known = entries.firstIndex(where: {
        $0["queue"] == entry["queue"] && $0["reason"] == entry["reason"]
      })
    else { return entries.append(entry) }
    let count = entries[known]["count"]?.integer ?? 1
    entries[known]["count"] = .int64(count &+ (entry["count"]?.integer ?? 1))
  }

  private func index(of queue: ByteString, _ reason: Death.Reason) -> Int? {
    entries.firstIndex { $0["queue"]?.string == queue && $0["reason"]?.string == ByteString(reason.rawValue) }
  }

  func count(of queue: ByteString, _ reason: Death.Reason) -> Int64 {
    index(of: queue, reason).flatMap { entries[$0]["count"]?.integer } ?? 0
  }

  /// It has been there, and since then nobody rejected it: it would go round for ever.
  func isCycle(to queue: ByteString) -> Bool {
    guard let last = entries.firstIndex(where: { $0["queue"]?.string == queue }) else { return false }
    return !entries[...last].contains { $0["reason"]?.string == "rejected" }
  }

  /// The message with this death written into its headers.
  func recorded(_ message: Message, in queue: Queue, _ reason: Death.Reason, keepsExpiration: Bool)
    throws(ProtocolError) -> Message
  {
    var properties = try BasicProperties(message.properties)
    var headers = properties.headers ?? FieldTable()
    let exchange = ByteString(message.exchange)
    var deaths = entries
    var entry: FieldTable
    if let known = index(of: queue.name, reason) {
      entry = deaths.remove(at: known)
      entry["count"] = .int64((entry["count"]?.integer ?? 0) &+ 1)
    } else {
      let extra = message.header.extraKeys.map { _ in headers.carbonCopies } ?? []
      entry = [
        "count": .int64(1), "reason": .string(ByteString(reason.rawValue)), "queue": .string(queue.name),
        "time": .timestamp(queue.vhost.broker.clock.wallSeconds), "exchange": .string(exchange),
        "routing-keys": .array([.string(ByteString(message.routingKey))] + extra.map { .string($0) }),
      ]
      if !keepsExpiration, let expiration = properties.expiration {
        entry["original-expiration"] = .string(expiration)
      }
    }
    deaths.insert(entry, at: 0)
    headers["x-death"] = .array(deaths.map { .table($0) })
    for (name, value) in [
      ("queue", queue.name), ("reason", ByteString(reason.rawValue)), ("exchange", exchange),
    ] {
      let first = ByteString("x-first-death-\(name)")
      if headers[first] == nil { headers[first] = .string(value) }
      headers[ByteString("x-last-death-\(name)")] = .string(value)
    }
    if !keepsExpiration { properties.expiration = nil }
    properties.headers = headers
    let made = try message.withProperties(properties)
    made.header.extraKeys = message.header.extraKeys
    return made
  }
}

extension FieldTable {
  fileprivate var carbonCopies: [ByteString] {
    guard case .array(let values)? = self["CC"] else { return [] }
    return values.compactMap(\.string)
  }
}
