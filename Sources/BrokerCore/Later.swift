import AMQPWire
import DequeModule

/// Messages that the broker itself publishes: dead letters, scripts' messages, delayed ones that are due. They
/// wait for the end of the publish at hand, so that publishing is never re-entered. Knows no script.
struct LaterMessage {
  enum Goal {
    /// To an exchange, through its filters if it has not been there.
    case exchange(ByteString, filtered: Bool)
    case queue(ByteString, filtered: Bool)
    /// To a dead letter exchange, from that queue.
    case deadLetterExchange(ByteString)
  }

  let vhost: VirtualHost
  let goal: Goal
  let message: Message
  let identity: Identity
  var delayedMilliseconds: Int64?
  /// How many messages of the broker's own led to this one.
  let hops: Int
  /// It is where it has to go, or nowhere: whatever kept it until then need not any more, or tries again unless it is
  /// everywhere.
  var whenPublished: ((_ everywhere: Bool) -> Void)?
}

public final class Later {
  /// A message that a script publishes for each one that it published before would go on for ever.
  public static let mostHops = 16
  /// Messages that scripts may leave waiting.
  public static let mostWaiting = 100_000
  static let mostATurn = 1000

  private var line = Deque<LaterMessage>()
  /// Of the message that is being published now, or that caused what is being done.
  public private(set) var hops = 0

  public var isEmpty: Bool { line.isEmpty }
  public var isFull: Bool { line.count >= Self.mostWaiting }

  /// Does something that a message of so many hops has caused.
  public func caused(by hops: Int, _ body: () -> Void) {
    let before = self.hops
    self.hops = hops
    defer { self.hops = before }
    body()
  }

  func append(_ message: LaterMessage) { line.append(message) }

  /// Publishes what waits, a bounded number.
  func run() {
    defer { hops = 0 }
    for _ in 0..<Self.mostATurn {
      guard let next = line.popFirst() else { return }
      hops = next.hops
      let isEverywhere = next.vhost.publishLater(next)
      next.whenPublished?(isEverywhere)
    }
  }
}

extension VirtualHost {
  /// What a script publishes: into an exchange of this virtual host, or straight into a queue.
  /// - Returns: why it cannot be
  public func publishLater(_ message: Message, intoQueue queue: ByteString?, by identity: Identity) -> String?
  {
    let later = broker.later
    guard !later.isFull else { return "\(Later.mostWaiting) messages wait to be published already" }
    guard later.hops < Later.mostHops else {
      return "the message comes of \(later.hops) others that scripts published, one for another"
    }
    let goal: LaterMessage.Goal =
      if let queue { .queue(queue, filtered: false) } else {
        .exchange(ByteString(message.exchange), filtered: false)
      }
    later.append(
      LaterMessage(vhost: self, goal: goal, message: message, identity: identity, hops: later.hops + 1))
    return nil
  }

  fileprivate func drop(_ later: LaterMessage, _ reason: String) {
    broker.logRefusal {
      "message to \(describedExchange(ByteString(later.message.exchange))) that the broker publishes: \(reason)"
    }
    broker.hooks.happened(
      .messageDropped(DroppedMessage(later.message, vhost: name, reason: reason)))
  }

  /// - Returns: whether there was somewhere to go, and it is there
  fileprivate func publishLater(_ later: LaterMessage) -> Bool {
    switch later.goal {
    case .queue(let name, let filtered):
      guard let queue = name.withOctets({ queue(named: $0) }) else {
        drop(later, "no queue '\(name)'")
        return false
      }
      switch queue.offer(later.message, by: later.identity, filtered: filtered) {
      case .taken, .dropped: return true
      case .refused(let reason): drop(later, reason)
      case .full: drop(later, "\(queue.described) is full")
      }
      return false
    case .exchange(let name, let filtered):
      guard let exchange = exchanges[name] else {
        drop(later, "no \(describedExchange(name))")
        return false
      }
      do throws(ProtocolError) {
        _ = try publish(
          later.message, to: exchange, by: later.identity, filtered: filtered,
          delayedMilliseconds: later.delayedMilliseconds)
        return true
      } catch {
        drop(later, error.text)
        return false
      }
    case .deadLetterExchange(let name):
      guard let exchange = exchanges[name] else { return false }
      return publishDeadLetter(later.message, to: exchange)
    }
  }
}
