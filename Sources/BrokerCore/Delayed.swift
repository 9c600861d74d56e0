import AMQPWire

/// Messages of a virtual host that are in no queue yet, because their time has not come. Persistent ones are in the
/// store meanwhile, and come at their time after a restart too.
final class Delayed {
  private let broker: Broker
  private let vhost: VirtualHost
  /// Nil where all is in memory.
  private let stored: StoredQueue?
  private var lastPosition: UInt64

  /// Due, but for exchanges whose types are not there.
  private var held: [ByteString: [LaterMessage]] = [:]

  enum Goal {
    case exchange(ByteString)
    case queue(ByteString)

    fileprivate var ofLater: LaterMessage.Goal {
      switch self {
      case .exchange(let name): .exchange(name, filtered: true)
      case .queue(let name): .queue(name, filtered: true)
      }
    }
  }

  init(vhost: VirtualHost, broker: Broker, stored: StoredQueue?) {
    self.vhost = vhost
    self.broker = broker
    self.stored = stored
    lastPosition = stored?.lastPosition ?? 0
  }

  /// Routes a message later, or lets it into a queue; filters do not see it again.
  func add(_ message: Message, to goal: Goal, by identity: Identity, _ milliseconds: Int64) {
    lastPosition += 1
    var delayed = QueuedMessage(message: message, position: lastPosition)
    if let stored, message.isPersistent {
      let due = broker.clock.wallMilliseconds &+ UInt64(clamping: milliseconds)
      let note = Note(goal: goal, user: identity.nameOctets, milliseconds: milliseconds)
      delayed.ticket = stored.append(
        message, at: delayed.position, extra: StoredExtra(dueMilliseconds: due, note: note.octets))
    } else {
      stored?.passed(lastPosition)
    }
    schedule(delayed, to: goal, by: identity, milliseconds, after: milliseconds, hops: broker.later.hops)
  }

  private func schedule(
    _ delayed: QueuedMessage, to goal: Goal, by identity: Identity, _ milliseconds: Int64, after: Int64,
    hops: Int
  ) {
    let sequel = LaterMessage(
      vhost: vhost, goal: goal.ofLater, message: delayed.message, identity: identity,
      delayedMilliseconds: milliseconds, hops: hops,
      whenPublished: { [self] _ in if delayed.ticket != 0 { stored?.remove(delayed) } })
    broker.deadlines.after(milliseconds: after) { [self] in
      if case .exchange(let name) = goal, vhost.exchanges[name]?.type is Unavailable {
        held[name, default: []].append(sequel)
      } else {
        broker.later.append(sequel)
      }
    }
  }

  /// The type of an exchange is there again: what was due meanwhile goes on.
  func release(_ exchange: ByteString) {
    for sequel in held.removeValue(forKey: exchange) ?? [] { broker.later.append(sequel) }
  }

  // MARK: recovery

  /// Reads what an earlier process left: a page, and when it is there the next.
  func recover() {
    guard let stored, stored.recoveredCount > 0 else { return }
    read(stored, stored.head..<stored.lastPosition + 1)
  }

  private func read(_ stored: StoredQueue, _ positions: Range<UInt64>) {
    let page = StorePage(
      queue: stored.number, positions: positions, mostMessages: Backlog.pageMessages,
      mostOctets: Backlog.pageOctets)
    stored.journal.store.read(page) { [self] read in
      if let problem = read.problem { broker.logger.error("delayed messages of '\(vhost.name)': \(problem)") }
      var next = positions.lowerBound
      let now = broker.clock.wallMilliseconds
      for record in read.records {
        if next < record.position { stored.passed(next..<record.position) }
        next = record.position + 1
        var delayed = QueuedMessage(message: record.message, position: record.position)
        delayed.ticket = Journal.recovered
        record.message.header.sharedBody = record.sharedBody
        guard let note = Note(record.extra.note) else {
          broker.logger.error("a delayed message of vhost '\(vhost.name)' says not where it is to go")
          stored.remove(delayed)
          continue
        }
        let due = record.extra.dueMilliseconds
        // It was on its way perhaps, and nothing of that was safe. Clocks of two processes differ a little.
        record.message.header.mayHaveBeenDelivered = due <= now &+ 1000
        schedule(
          delayed, to: note.goal, by: Identity(name: note.user.text), note.milliseconds,
          after: due > now ? Int64(clamping: due - now) : 0, hops: 0)
      }
      if read.reachedEnd {
        stored.passed(next..<positions.upperBound)
      } else if next < positions.upperBound {
        self.read(stored, next..<positions.upperBound)
      }
      stored.journal.onProgress()
    }
  }

  /// What the store keeps beside a delayed message.
  private struct Note {
    let goal: Goal
    let user: ByteString
    let milliseconds: Int64

    init(goal: Goal, user: ByteString, milliseconds: Int64) {
      self.goal = goal
      self.user = user
      self.milliseconds = milliseconds
    }

    init?(_ octets: [UInt8]) {
      guard let fields = octets.withUnsafeBytes({ try? FieldReader.fields(of: $0) }),
        let user = fields["user"]?.string, let milliseconds = fields["milliseconds"]?.integer
      else { return nil }
      if let name = fields["exchange"]?.string {
        goal = .exchange(name)
      } else if let name = fields["queue"]?.string {
        goal = .queue(name)
      } else {
        return nil
      }
      self.user = user
      self.milliseconds = milliseconds
    }

    var octets: [UInt8] {
      var fields: FieldTable = ["user": .string(user), "milliseconds": .int64(milliseconds)]
      switch goal {
      case .exchange(let name): fields["exchange"] = .string(name)
      case .queue(let name): fields["queue"] = .string(name)
      }
      return Definition.value(fields)
    }
  }
}
