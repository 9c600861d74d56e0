/// The core against a model of it that cannot be wrong: chance plays a few channels, and after each step
/// every message has to be where the model says, and every delivery has to be one that was allowed.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@Suite struct ModelTests {
  /// A seed that failed is added, with what it found.
  @Test(arguments: Seeds.of("MODEL_SEED", Array(1...10)))
  func `random operations leave every message where it has to be`(_ seed: UInt64) throws {
    Seeds.announce("ModelTests: seed \(seed)")
    let play = try Play(seed: seed)
    for step in 0..<1500 {
      let what = try play.step()
      let problems = play.problems()
      guard problems.isEmpty else {
        Issue.record("seed \(seed), step \(step) (\(what)): \(problems.joined(separator: "; "))")
        return
      }
    }
    try play.end()
    #expect(play.problems() == [])
    #expect(play.fates.isPlausible, "every kind of end has to occur: \(play.fates)")
  }
}

/// What became of messages that are no longer in a queue.
private struct Fates {
  var published = 0
  var acked = 0
  var deliveredForGood = 0
  var rejected = 0
  var purged = 0
  var lostWithQueue = 0

  var gone: Int { acked + deliveredForGood + rejected + purged + lostWithQueue }
  var isPlausible: Bool {
    [published, acked, deliveredForGood, rejected, purged, lostWithQueue].allSatisfy { $0 > 0 }
  }
}

/// A message in one queue, as the model sees it. The body is its number in that queue.
private struct Copy: Hashable {
  let position: Int
  var redelivered = false
}

private final class ModelQueue {
  let name: ByteString
  let queue: Queue
  let autoDelete: Bool
  var ready: [Copy] = []
  var published = 0

  init(_ queue: Queue) {
    self.queue = queue
    name = queue.name
    autoDelete = queue.autoDelete
  }

  func putBack(_ copy: Copy) {
    ready.append(Copy(position: copy.position, redelivered: true))
    ready.sort { $0.position < $1.position }
  }
}

private final class ModelConsumer: ConsumerOutlet {
  var consumer: Consumer?
  let queue: ModelQueue
  let channel: ModelChannel
  let noAck: Bool
  let priority: Int
  let prefetch: Int
  var unsettled = 0
  var isOpen = true
  var isCancelled = false
  private unowned let play: Play

  init(_ queue: ModelQueue, _ channel: ModelChannel, noAck: Bool, priority: Int, prefetch: Int, play: Play) {
    self.queue = queue
    self.channel = channel
    self.noAck = noAck
    self.priority = priority
    self.prefetch = prefetch
    self.play = play
  }

  var hasCredit: Bool {
    guard isOpen, !isCancelled else { return false }
    return (noAck || prefetch == 0 || unsettled < prefetch)
      && (channel.limit == 0 || channel.limited < channel.limit)
  }

  func deliver(_ message: Message, tag: UInt64, redelivered: Bool) {
    play.delivered(message, tag: tag, redelivered: redelivered, to: self)
  }

  func consumerCancelled(_ tag: ByteString) { isCancelled = true }
}

private final class ModelChannel {
  struct Held {
    let tag: UInt64
    let copy: Copy
    let queue: ModelQueue
    /// nil for a get.
    let consumer: ModelConsumer?
  }

  let deliveries = Deliveries()
  var held: [Held] = []
  var limit = 0
  var lastTag: UInt64 = 0
  var limited: Int { held.count { $0.consumer != nil } }
}

private final class Play {
  private let core = Core()
  private var chance: Chance
  private var queues: [ModelQueue] = []
  private var channels: [ModelChannel] = []
  private var consumers: [ModelConsumer] = []
  private var queuesMade = 0
  private var complaints: [String] = []
  fileprivate(set) var fates = Fates()

  init(seed: UInt64) throws {
    chance = Chance(seed: seed)
    channels = (0..<3).map { _ in ModelChannel() }
    try core.exchange("all")
    for _ in 0..<3 { try declareQueue() }
  }

  // MARK: steps

  func step() throws -> String {
    switch chance.below(100) {
    case 0..<40: return try publish()
    case 40..<48: return get()
    case 48..<54: return try consume()
    case 54..<76: return settle()
    case 76..<80: return cancel()
    case 80..<84: return recover()
    case 84..<89: return changeLimit()
    case 89..<95: return changeOutlet()
    case 95..<97: return purge()
    case 97..<98: return try deleteQueue()
    default: return try declareQueue()
    }
  }

  @discardableResult
  private func declareQueue() throws -> String {
    guard queues.count < 5 else { return "declare nothing" }
    queuesMade += 1
    let name = ByteString("q\(queuesMade)")
    queues.append(ModelQueue(try core.queue(name, autoDelete: chance.oneIn(4))))
    try core.bind("all", to: name)
    return "declare \(name)"
  }

  private func publish() throws -> String {
    let toAll = chance.oneIn(5)
    let targets = toAll ? queues : queues.isEmpty ? [] : [chance.pick(queues)]
    // Each queue numbers its own messages, so one publish has another body for each queue to check.
    for target in targets {
      target.published += 1
      fates.published += 1
      target.ready.append(Copy(position: target.published))
      try core.publish("\(target.published)", to: "", key: target.name)
    }
    if toAll {
      let message = Message.of("to all", exchange: "all")
      let routed = try core.vhost.route(message, from: try core.vhost.exchange("all"), publisher: .none)
        .queues
      if Set(routed.map(\.name)) != Set(queues.map(\.name)) || routed.count != queues.count {
        complaints.append("fanout led to \(routed.map(\.name))")
      }
    }
    return "publish to \(targets.map(\.name))"
  }

  private func get() -> String {
    guard !queues.isEmpty else { return "get nothing" }
    let (queue, channel, noAck) = (chance.pick(queues), chance.pick(channels), chance.oneIn(3))
    let outlet = ModelConsumer(queue, channel, noAck: noAck, priority: 0, prefetch: 0, play: self)
    let getter = Consumer(
      tag: "", queue: queue.queue, noAck: noAck, deliveries: channel.deliveries, outlet: outlet)
    let expected = queue.ready.first
    guard case .message(let shown, let redelivered, let tag) = queue.queue.get(getter) else {
      if expected != nil { complaints.append("\(queue.name) had a message and gave none") }
      return "get from empty \(queue.name)"
    }
    take(
      Copy(position: Int(shown.bodyText) ?? 0, redelivered: redelivered), tag, queue, channel)
    if noAck {
      fates.deliveredForGood += 1
    } else {
      channel.held.append(
        .init(tag: tag, copy: Copy(position: expected?.position ?? 0), queue: queue, consumer: nil))
    }
    return "get from \(queue.name), no ack \(noAck)"
  }

  private func consume() throws -> String {
    guard !queues.isEmpty, consumers.count < 12 else { return "consume nothing" }
    let queue = chance.pick(queues)
    let outlet = ModelConsumer(
      queue, chance.pick(channels), noAck: chance.oneIn(4), priority: chance.pick([0, 0, 0, 5, -5]),
      prefetch: chance.pick([0, 1, 2, 5]), play: self)
    // Most begin closed, or nothing would ever wait.
    outlet.isOpen = chance.oneIn(3)
    let consumer = Consumer(
      tag: ByteString("c\(consumers.count)"), queue: queue.queue, noAck: outlet.noAck,
      priority: outlet.priority,
      prefetch: outlet.prefetch, deliveries: outlet.channel.deliveries, outlet: outlet)
    outlet.consumer = consumer
    try queue.queue.subscribe(consumer)
    consumers.append(outlet)
    drainAll()
    return "consume \(queue.name)"
  }

  private func settle() -> String {
    let channel = chance.pick(channels)
    let multiple = chance.oneIn(4)
    let tag: UInt64 =
      channel.held.isEmpty || chance.oneIn(12)
      ? UInt64(chance.below(Int(channel.lastTag) + 3)) : chance.pick(channel.held).tag
    let settlement: Settlement = chance.pick([
      .acknowledged, .acknowledged, .rejected(requeue: true), .rejected(requeue: false),
    ])
    let known = channel.held.contains { $0.tag == tag } || (multiple && tag == 0)
    let doomed = channel.held.filter { multiple ? ($0.tag <= tag || tag == 0) : $0.tag == tag }
    var taken: [UInt64] = []
    let found = channel.deliveries.take(tag, multiple: multiple) { delivery in
      taken.append(delivery.tag)
      delivery.settle(settlement)
    }
    if found != known { complaints.append("tag \(tag) known: \(known), found: \(found)") }
    if known {
      if taken != doomed.map(\.tag) { complaints.append("took \(taken), not \(doomed.map(\.tag))") }
      for held in doomed { settled(held, in: channel, settlement) }
    }
    drainAll()
    return "settle \(tag), multiple \(multiple), \(settlement)"
  }

  private func settled(_ held: ModelChannel.Held, in channel: ModelChannel, _ settlement: Settlement) {
    channel.held.removeAll { $0.tag == held.tag }
    held.consumer?.unsettled -= 1
    switch settlement {
    case .acknowledged: fates.acked += 1
    case .rejected(requeue: false): fates.rejected += 1
    case .rejected, .abandoned:
      if held.queue.queue.isDeleted { fates.lostWithQueue += 1 } else { held.queue.putBack(held.copy) }
    }
  }

  private func recover() -> String {
    let channel = chance.pick(channels)
    channel.deliveries.takeAll { $0.settle(.rejected(requeue: true)) }
    for held in channel.held { settled(held, in: channel, .rejected(requeue: true)) }
    drainAll()
    return "recover"
  }

  private func cancel() -> String {
    guard let outlet = chance.draw(from: &consumers), let consumer = outlet.consumer else {
      return "cancel nobody"
    }
    outlet.isCancelled = true
    outlet.queue.queue.unsubscribe(consumer)
    if outlet.queue.autoDelete, !consumers.contains(where: { $0.queue === outlet.queue }) {
      lose(outlet.queue)
    }
    return "cancel on \(outlet.queue.name)"
  }

  private func changeLimit() -> String {
    let channel = chance.pick(channels)
    channel.limit = chance.pick([0, 0, 1, 3, 10])
    channel.deliveries.setLimit(channel.limit)
    drainAll()
    return "limit \(channel.limit)"
  }

  private func changeOutlet() -> String {
    guard !consumers.isEmpty else { return "open nobody" }
    chance.pick(consumers).isOpen.toggle()
    drainAll()
    return "toggle an outlet"
  }

  private func purge() -> String {
    guard !queues.isEmpty else { return "purge nothing" }
    let queue = chance.pick(queues)
    let count = queue.queue.purge()
    if count != queue.ready.count { complaints.append("purged \(count) of \(queue.ready.count)") }
    fates.purged += queue.ready.count
    queue.ready = []
    return "purge \(queue.name)"
  }

  private func deleteQueue() throws -> String {
    guard !queues.isEmpty else { return "delete nothing" }
    let queue = chance.pick(queues)
    let told = consumers.filter { $0.queue === queue }
    core.vhost.remove(queue.queue)
    if !told.allSatisfy(\.isCancelled) { complaints.append("a consumer was not told") }
    lose(queue)
    return "delete \(queue.name)"
  }

  private func lose(_ queue: ModelQueue) {
    if !queue.queue.isDeleted { complaints.append("\(queue.name) lives on") }
    fates.lostWithQueue += queue.ready.count
    queue.ready = []
    queues.removeAll { $0 === queue }
    consumers.removeAll { $0.queue === queue }
  }

  private func drainAll() { for queue in queues { queue.queue.drain() } }

  /// Everything is given back and consumed, so that all can be counted.
  func end() throws {
    for consumer in consumers { consumer.isOpen = false }
    for _ in channels { _ = recover() }
    for channel in channels {
      channel.deliveries.takeAll { $0.settle(.rejected(requeue: true)) }
      for held in channel.held { settled(held, in: channel, .rejected(requeue: true)) }
    }
    while let queue = queues.first {
      core.vhost.remove(queue.queue)
      lose(queue)
    }
    if fates.published != fates.gone { complaints.append("\(fates.published) published, \(fates.gone) gone") }
  }

  // MARK: what the core did

  func delivered(_ message: Message, tag: UInt64, redelivered: Bool, to outlet: ModelConsumer) {
    if !outlet.hasCredit { complaints.append("a consumer of \(outlet.queue.name) got more than its credit") }
    let better = consumers.filter {
      $0.queue === outlet.queue && $0.priority > outlet.priority && $0.hasCredit
    }
    if !better.isEmpty { complaints.append("a consumer of higher priority was passed over") }
    let copy = Copy(position: Int(message.bodyText) ?? 0, redelivered: redelivered)
    take(copy, tag, outlet.queue, outlet.channel)
    if outlet.noAck {
      fates.deliveredForGood += 1
    } else {
      outlet.unsettled += 1
      outlet.channel.held.append(.init(tag: tag, copy: copy, queue: outlet.queue, consumer: outlet))
    }
  }

  /// The model gives the message up too: it has to be the first that is ready.
  private func take(_ copy: Copy, _ tag: UInt64, _ queue: ModelQueue, _ channel: ModelChannel) {
    if queue.ready.first != copy {
      complaints.append("\(queue.name) gave \(copy), not \(String(describing: queue.ready.first))")
    }
    queue.ready.removeAll { $0.position == copy.position }
    if tag != channel.lastTag + 1 { complaints.append("tag \(tag) after \(channel.lastTag)") }
    channel.lastTag = tag
  }

  func problems() -> [String] {
    var all = complaints
    for queue in queues {
      let unsettled = channels.reduce(0) { $0 + $1.held.count { $0.queue === queue } }
      let mine = consumers.filter { $0.queue === queue }
      if queue.queue.readyCount != queue.ready.count {
        all.append("\(queue.name) has \(queue.queue.readyCount) ready, not \(queue.ready.count)")
      }
      if queue.queue.unsettledCount != unsettled {
        all.append("\(queue.name) has \(queue.queue.unsettledCount) unsettled, not \(unsettled)")
      }
      if queue.queue.consumerCount != mine.count {
        all.append("\(queue.name) has \(queue.queue.consumerCount) consumers, not \(mine.count)")
      }
      if !queue.ready.isEmpty, mine.contains(where: \.hasCredit) {
        all.append("\(queue.name) keeps \(queue.ready.count) from a consumer with credit")
      }
    }
    for channel in channels where channel.deliveries.count != channel.held.count {
      all.append("a channel holds \(channel.deliveries.count), not \(channel.held.count)")
    }
    let kept = queues.reduce(0) { $0 + $1.ready.count } + channels.reduce(0) { $0 + $1.held.count }
    if fates.published != fates.gone + kept {
      all.append("\(fates.published) published, \(fates.gone) gone, \(kept) kept")
    }
    return all
  }
}
