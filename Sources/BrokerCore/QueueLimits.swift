import AMQPWire

/// Messages that leave a queue before anybody takes them, because their time is over or because the queue is full, and
/// queues that leave because nobody uses them (https://www.rabbitmq.com/docs/ttl, /docs/maxlength). Knows no consumer.
extension Queue {
  /// The most that is dropped in one go; more waits for the next turn of the loop.
  private static let mostDropped = 1000

  // MARK: time

  /// When a message that comes now has to leave, in milliseconds since 1970; 0: never. The queue's time to live and the
  /// message's own: the smaller counts.
  // hot:
  func expiry(of message: Message) -> UInt64 {
    let properties = message.header.properties
    guard rules.timeToLiveMilliseconds != nil || properties.flags.contains(.expiration) else { return 0 }
    var milliseconds = rules.timeToLiveMilliseconds ?? .max
    if properties.flags.contains(.expiration),
      let own = UInt64(
        ByteString(UnsafeRawBufferPointer(rebasing: message.properties[properties.expiration.range])).text)
    {
      milliseconds = min(milliseconds, own)
    }
    guard milliseconds != .max else { return 0 }
    let due = vhost.broker.clock.wallMilliseconds.addingReportingOverflow(milliseconds)
    return due.overflow ? 0 : due.partialValue
  }

  /// Messages expire at the head of their queue (or of their priority): one behind another with more time waits for it,
  /// as in RabbitMQ.
  /// - Returns: false if there are more than one turn may bear
  func dropExpired() -> Bool {
    let now = vhost.broker.clock.wallMilliseconds
    var left = Self.mostDropped
    for level in levels {
      while let first = level.backlog.first, first.expires != 0, first.expires <= now {
        guard left > 0 else {
          lookAgain(inMilliseconds: 0)
          return false
        }
        left -= 1
        guard let dropped = level.dropFirst(movesOn: rules.deadLetterExchange != nil) else { break }
        die(dropped, .expired)
      }
    }
    awaitExpiry(after: now)
    return true
  }

  /// Looks again when the first message is due.
  /// - Parameter past: what was due until then waits for the store, which tells
  func awaitExpiry(after past: UInt64 = 0) {
    var next: UInt64?
    for level in levels {
      guard let first = level.backlog.first else {
        // What the first of the store is due for is known when it is read.
        level.lookAtFirst()
        continue
      }
      if first.expires > past { next = min(next ?? .max, first.expires) }
    }
    guard let next, expiryTimer.map({ next < $0 }) ?? true else { return }
    expiryTimer = next
    let now = vhost.broker.clock.wallMilliseconds
    lookAgain(inMilliseconds: next > now ? Int64(clamping: next - now) : 0)
  }

  private func lookAgain(inMilliseconds milliseconds: Int64) {
    vhost.broker.deadlines.after(milliseconds: milliseconds) { [handle = timerHandle()] in
      guard let queue = handle.queue else { return }
      queue.expiryTimer = nil
      queue.looksAgain = false
      queue.hasMore()
    }
  }

  // MARK: room

  /// Of the bodies of messages that are ready.
  public var readyOctets: Int {
    stream?.segments.octets ?? levels.reduce(0) { $0 + $1.backlog.bodyOctets }
  }

  private var isOverflowing: Bool { readyCount > rules.countMaximum || readyOctets > rules.octetsMaximum }

  func wouldOverflow(_ message: Message) -> Bool {
    readyCount >= rules.countMaximum || readyOctets + message.body.count > rules.octetsMaximum
  }

  /// The publisher is told; the dead letter exchange too, if the queue says so.
  func refuse(_ message: Message) {
    guard rules.overflow == .rejectPublishDeadLetter else { return }
    die(QueuedMessage(message: message, position: 0), .maxlen)
  }

  /// The first messages make room, those of the highest priority before others.
  func dropOverflow() {
    var left = Self.mostDropped
    while isOverflowing {
      guard left > 0 else { return lookAgain(inMilliseconds: 0) }
      left -= 1
      guard let level = levels.last(where: { !$0.isEmpty }),
        let dropped = level.dropFirst(movesOn: rules.deadLetterExchange != nil)
      else { return }
      die(dropped, .maxlen)
    }
  }

  func wasAppended(_ queued: QueuedMessage) {
    if rules.dropsWhenFull { dropOverflow() }
    guard queued.expires != 0 else { return }
    isExpiring = true
    if queued.expires <= vhost.broker.clock.wallMilliseconds { _ = dropExpired() } else { awaitExpiry() }
  }

  /// What came back is looked at after all that come back with it.
  func wasPutBack(_ queued: QueuedMessage) {
    if queued.expires != 0 { isExpiring = true }
    needsRoom = rules.dropsWhenFull
    guard !looksAgain else { return }
    looksAgain = true
    lookAgain(inMilliseconds: 0)
  }

  /// Room for what came back is made before anybody is given a message.
  func makeRoom() {
    needsRoom = false
    dropOverflow()
  }

  // MARK: the queue

  /// What an earlier process left is looked at, and the queue itself begins to expire.
  func beginRules() {
    if rules.timeToLiveMilliseconds != nil { isExpiring = true }
    if isExpiring { for level in levels { level.lookAtFirst() } }
    if let milliseconds = rules.expiresMilliseconds { expire(after: milliseconds) }
  }

  /// The same for rules that are new: a queue begins to expire, and what is too much goes.
  func rulesChanged() {
    if rules.timeToLiveMilliseconds != nil { isExpiring = true }
    expiryRound += 1
    wasUsed()
    if let milliseconds = rules.expiresMilliseconds { expire(after: milliseconds) }
    hasMore()
  }

  private func expire(after milliseconds: Int64) {
    let round = expiryRound
    vhost.broker.deadlines.after(milliseconds: milliseconds) { [handle = timerHandle()] in
      if let queue = handle.queue, queue.expiryRound == round { queue.expireIfUnused() }
    }
  }

  private func expireIfUnused() {
    guard let most = rules.expiresMilliseconds else { return }
    let unused = Int64(clamping: (vhost.broker.clock.nanoseconds &- lastUsed) / 1_000_000)
    if consumerCount > 0 { return expire(after: most) }
    if unused >= most { return vhost.remove(self) }
    expire(after: most - unused)
  }
}
