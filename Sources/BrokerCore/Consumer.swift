import AMQPWire

/// A consumer: who takes messages from one queue, and how many at a time. Knows no socket.
public final class Consumer {
  public let tag: ByteString
  public let queue: Queue
  public let noAck: Bool
  public let exclusive: Bool
  /// `x-priority`: the higher is served first while it has credit.
  public let priority: Int
  /// How many messages it may hold unacknowledged; 0 is no limit. The channel's limit counts beside it, and stops
  /// those that acknowledge nothing too, though what they take does not count (as in RabbitMQ).
  public let prefetch: Int
  public let arguments: FieldTable
  public let identity: Identity
  /// The channel's: delivery tags, and the limit that its consumers share.
  public let deliveries: Deliveries
  private let outlet: any ConsumerOutlet
  public internal(set) var unsettled = 0
  /// True while the queue has it in its list.
  public internal(set) var isSubscribed = false
  /// Its place, if it reads a stream.
  var reader: StreamReader?

  public init(
    tag: ByteString, queue: Queue, noAck: Bool, exclusive: Bool = false, priority: Int = 0, prefetch: Int = 0,
    arguments: FieldTable = [:], identity: Identity = .none, deliveries: Deliveries,
    outlet: any ConsumerOutlet
  ) {
    self.tag = tag
    self.queue = queue
    self.noAck = noAck
    self.exclusive = exclusive
    self.priority = priority
    self.prefetch = prefetch
    self.arguments = arguments
    self.identity = identity
    self.deliveries = deliveries
    self.outlet = outlet
  }

  // hot:
  var hasCredit: Bool {
    guard outlet.isOpen, deliveries.hasCredit else { return false }
    return noAck || prefetch == 0 || unsettled < prefetch
  }

  // hot:
  @inline(__always)
  func take(_ queued: QueuedMessage) { take(queued, showing: queued.message) }

  /// - Parameter shown: the message as the filters let the consumer see it
  // hot:
  func take(_ queued: QueuedMessage, showing shown: Message) {
    let tag = deliveries.nextTag()
    outlet.deliver(shown, tag: tag, redelivered: queued.redelivered)
    guard !noAck else { return }
    unsettled += 1
    deliveries.append(Delivery(tag: tag, queued: queued, consumer: self, limited: true))
  }

  var channelName: ChannelName { outlet.channelName }

  /// How many milliseconds it may hold a message; 0: as long as it likes.
  public var timeoutMilliseconds: Int64 {
    arguments["x-consumer-timeout"]?.integer ?? queue.rules.consumerTimeoutMilliseconds
      ?? queue.vhost.broker.settings.consumerTimeoutMilliseconds
  }

  /// The queue is gone: the client is told, if it wants to know.
  public func cancelledByQueue() { outlet.consumerCancelled(tag) }
}

/// Where a consumer's deliveries go: a channel's outbox, or a test's list.
public protocol ConsumerOutlet: AnyObject {
  /// False while the peer does not read as fast as we write.
  var isOpen: Bool { get }
  func deliver(_ message: Message, tag: UInt64, redelivered: Bool)
  func consumerCancelled(_ tag: ByteString)
  var channelName: ChannelName { get }
}

extension ConsumerOutlet {
  public var channelName: ChannelName { .none }
}

/// The consumers of a queue: the highest priority first, in turn among equals.
struct Consumers {
  private struct Group {
    let priority: Int
    var members: ContiguousArray<Consumer>
    var next = 0
  }

  /// Highest priority first.
  private var groups: ContiguousArray<Group> = []
  private(set) var count = 0
  /// One of them wants the queue for itself.
  private(set) var hasExclusive = false
  /// Only one is served, until it goes (https://www.rabbitmq.com/docs/consumers#single-active-consumer).
  private let singleActive: Bool
  private var active: Consumer?

  init(singleActive: Bool = false) { self.singleActive = singleActive }

  var isEmpty: Bool { count == 0 }
  var all: [Consumer] { groups.flatMap(\.members) }

  /// Whether a consumer that has room may be given messages.
  // hot:
  func mayServe(_ consumer: Consumer) -> Bool {
    consumer.isSubscribed && (!singleActive || active === consumer)
  }

  mutating func insert(_ consumer: Consumer) {
    count += 1
    if singleActive, active == nil { active = consumer }
    hasExclusive = consumer.exclusive
    if let index = groups.firstIndex(where: { $0.priority == consumer.priority }) {
      groups[index].members.append(consumer)
    } else {
      let index = groups.firstIndex { $0.priority < consumer.priority } ?? groups.endIndex
      groups.insert(Group(priority: consumer.priority, members: [consumer]), at: index)
    }
  }

  mutating func remove(_ consumer: Consumer) {
    guard let index = groups.firstIndex(where: { $0.priority == consumer.priority }),
      let place = groups[index].members.firstIndex(where: { $0 === consumer })
    else { return }
    count -= 1
    if consumer.exclusive { hasExclusive = false }
    groups[index].members.remove(at: place)
    if groups[index].members.isEmpty {
      groups.remove(at: index)
    } else if groups[index].next > place {
      groups[index].next -= 1
    }
    if active === consumer { active = groups.first?.members.first }
  }

  mutating func removeAll() { self = Consumers(singleActive: singleActive) }

  /// Whose turn it is among those that have credit.
  // hot:
  mutating func nextWithCredit() -> Consumer? {
    if singleActive { return active.flatMap { $0.hasCredit ? $0 : nil } }
    for index in groups.indices {
      let members = groups[index].members.count
      var place = groups[index].next
      for _ in 0..<members {
        if place >= members { place = 0 }
        let consumer = groups[index].members[place]
        place += 1
        if consumer.hasCredit {
          groups[index].next = place
          return consumer
        }
      }
    }
    return nil
  }
}
