import AMQPWire

/// Messages of a virtual host that are in no queue yet, because their time has not come. Persistent ones are in the
/// store meanwhile, and come at their time after a restart too; where they are many, memory has their places only.
final class Delayed {
  private let broker: Broker
  private let vhost: VirtualHost
  /// Nil where all is in memory.
  private let stored: StoredQueue?
  private var lastPosition: UInt64

  private struct Waiting {
    var queued: QueuedMessage
    let goal: Goal
    let identity: Identity
    let milliseconds: Int64
    let hops: Int
  }
  /// By position.
  private var waiting: [UInt64: Waiting] = [:]
  /// Octets of memory of those that the store keeps too.
  private var weight = 0
  /// Up to this position memory has let go of what it could.
  private var letGoUpTo: UInt64 = 0
  /// Due, and in the store alone, or behind such.
  private var due = Away()
  private var isReading = false

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
    let position = delayed.position
    waiting[position] = Waiting(
      queued: delayed, goal: goal, identity: identity, milliseconds: milliseconds, hops: hops)
    weigh(delayed, 1)
    letGo(upTo: position)
    broker.deadlines.after(milliseconds: after) { [self] in
      guard let queued = waiting[position]?.queued else { return }
      guard queued.isAway || !due.isEmpty else { return send(queued) }
      // Behind those that are read first.
      due.insert(queued)
      readDue()
    }
  }

  /// Its time has come, and it is here.
  private func send(_ queued: QueuedMessage) {
    guard let was = waiting.removeValue(forKey: queued.position) else { return }
    weigh(was.queued, -1)
    if queued.redelivered { queued.message.header.mayHaveBeenDelivered = true }
    let sequel = LaterMessage(
      vhost: vhost, goal: was.goal.ofLater, message: queued.message, identity: was.identity,
      delayedMilliseconds: was.milliseconds, hops: was.hops,
      whenPublished: { [self] _ in if queued.ticket != 0 { stored?.remove(queued) } })
    if case .exchange(let name) = was.goal, vhost.exchanges[name]?.type is Unavailable {
      held[name, default: []].append(sequel)
    } else {
      broker.later.append(sequel)
    }
  }

  // MARK: memory

  private func weigh(_ queued: QueuedMessage, _ sign: Int) {
    guard queued.ticket != 0, !queued.isAway else { return }
    let octets = sign * queued.message.weight
    weight += octets
    broker.ledger.add(octets)
  }

  /// Of those beyond the budget that the store has by now, memory keeps the place. Looks at some, so that it catches
  /// up with what comes.
  private func letGo(upTo last: UInt64) {
    guard let stored else { return }
    for _ in 0..<8 where letGoUpTo < last {
      let position = letGoUpTo + 1
      if var entry = waiting[position], entry.queued.ticket != 0 {
        guard !broker.ledger.allows(weight), entry.queued.ticket <= stored.journal.settled else { return }
        weigh(entry.queued, -1)
        entry.queued.goAway()
        waiting[position] = entry
      }
      letGoUpTo = position
    }
  }

  private func readDue() {
    guard !isReading, let stored, let positions = due.positions else { return }
    isReading = true
    let page = StorePage(
      queue: stored.number, positions: positions, mostMessages: Backlog.pageMessages,
      mostOctets: Backlog.pageOctets, respectsRanges: false)
    stored.journal.store.read(page) { [self] read in
      isReading = false
      guard !stored.isGone else { return }
      if let problem = read.problem { log(problem) }
      for (queued, message) in due.take(read, of: positions) {
        if let message {
          send(queued.back(as: (try? message.withExtraKeys()) ?? message))
        } else {
          log("one is not in the store")
          waiting[queued.position] = nil
          stored.remove(queued)
        }
      }
      readDue()
      stored.journal.onProgress()
    }
  }

  private func log(_ problem: String) {
    broker.logger.error("delayed messages of '\(vhost.name)': \(problem)")
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
      if let problem = read.problem { log(problem) }
      var next = positions.lowerBound
      let now = broker.clock.wallMilliseconds
      for record in read.records {
        if next < record.position { stored.passed(next..<record.position) }
        next = record.position + 1
        var delayed = QueuedMessage(message: record.message, position: record.position)
        delayed.ticket = Journal.recovered
        record.message.header.sharedBody = record.sharedBody
        guard let note = Note(record.extra.note) else {
          log("one says not where it is to go")
          stored.remove(delayed)
          continue
        }
        let due = record.extra.dueMilliseconds
        // It was on its way perhaps, and nothing of that was safe. Clocks of two processes differ a little.
        delayed.redelivered = due <= now &+ 1000
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
