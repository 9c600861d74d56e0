import AMQPWire

/// The seam behind which an exchange chooses destinations: built-in types and Lua types stand side by side.
/// Knows no wire.
///
/// One object serves one exchange, and keeps whatever index makes its `route` fast.
public protocol ExchangeType: AnyObject {
  /// True if the routing key alone decides, so that a channel may remember where a key led until the
  /// virtual host's topology changes.
  var routesByKeyAlone: Bool { get }

  /// Called once for each new binding, and for all existing ones when a script is reloaded.
  /// - Throws: 406 with a text for the client; the binding is then not made.
  func add(_ binding: Binding) throws(ProtocolError)

  func remove(_ binding: Binding)

  /// Adds to `destinations` where the message goes: bindings of this exchange, or queues by name.
  /// - Throws: when the message is refused. The publisher sees `basic.nack`, or `basic.return`.
  // hot:
  func route(_ message: Message, into destinations: Destinations) throws(ProtocolError)
}

/// Makes the object for one exchange, or throws 406 if the exchange's arguments are refused.
public typealias ExchangeTypeMaker = (Exchange) throws(ProtocolError) -> any ExchangeType

/// What happens while a message is routed.
public enum RouteStep {
  case asked(Exchange)
  case bound(Binding)
  case named(Queue)
  /// Nothing matched in the first, so the second is asked.
  case alternate(Exchange, Exchange)
}

/// Where one message goes. One object serves a whole virtual host, and is used again for each message.
public final class Destinations {
  struct Delay {
    let exchange: Exchange
    let milliseconds: Int64
    /// What the exchange gets instead of the message.
    var changed: Message?
  }

  /// Each queue once, in the order in which they were found.
  public private(set) var queues: ContiguousArray<Queue> = []
  /// Exchanges that were reached and are still to be asked.
  private var waiting: ContiguousArray<Exchange> = []
  /// True as long as every exchange that was asked routes by key alone.
  public private(set) var byKeyAlone = true
  /// Bindings and names that the exchange at hand has chosen.
  private(set) var choices = 0
  /// A script has said that the message is to be dropped.
  public private(set) var isDropped = false
  /// Exchanges that want to route the message later.
  private(set) var delays: [Delay] = []
  /// Set while the exchange that delayed the message routes it.
  public private(set) var delayedMilliseconds: Int64?
  private var asked: Exchange?
  /// Hears of each step of a route that is to be explained.
  var trace: ((RouteStep) -> Void)?
  private var stamp: UInt64 = 0
  private unowned let vhost: VirtualHost

  init(vhost: VirtualHost) { self.vhost = vhost }

  // hot:
  public func add(_ binding: Binding) {
    choices += 1
    trace?(.bound(binding))
    switch binding.destination {
    case .queue(let queue): add(queue)
    case .exchange(let exchange): visit(exchange)
    }
  }

  /// A queue by its name, as the default exchange does it. An unknown name is no destination.
  public func add(queueNamed name: UnsafeRawBufferPointer) {
    guard let queue = vhost.destination(named: name) else { return }
    choices += 1
    trace?(.named(queue))
    add(queue)
  }

  /// The message is accepted and goes nowhere: neither to an alternate exchange nor back to its publisher.
  public func drop() {
    choices += 1
    isDropped = true
  }

  /// The exchange at hand gets the message again after that time, or what it has become.
  public func delay(milliseconds: Int64, as changed: Message? = nil) {
    choices += 1
    if let asked { delays.append(Delay(exchange: asked, milliseconds: milliseconds, changed: changed)) }
  }

  private func add(_ queue: Queue) {
    guard queue.routedStamp != stamp else { return }
    queue.routedStamp = stamp
    queues.append(queue)
  }

  private func visit(_ exchange: Exchange) {
    guard exchange.routedStamp != stamp else { return }
    exchange.routedStamp = stamp
    waiting.append(exchange)
  }

  /// Asks `exchange` and all that are reached from it: bound exchanges, and alternate ones where nothing
  /// matched. Each exchange is asked once, so cycles end.
  // hot:
  func resolve(_ message: Message, from exchange: Exchange, delayedMilliseconds: Int64? = nil)
    throws(ProtocolError)
  {
    stamp &+= 1
    queues.removeAll(keepingCapacity: true)
    waiting.removeAll(keepingCapacity: true)
    isDropped = false
    if !delays.isEmpty { delays = [] }
    self.delayedMilliseconds = delayedMilliseconds
    byKeyAlone = message.header.extraKeys == nil
    visit(exchange)
    while let next = waiting.popLast() {
      choices = 0
      asked = next
      trace?(.asked(next))
      byKeyAlone = byKeyAlone && next.type.routesByKeyAlone
      try next.type.route(message, into: self)
      if choices == 0, let name = next.alternateExchange, let alternate = vhost.exchanges[name] {
        trace?(.alternate(next, alternate))
        visit(alternate)
      }
      self.delayedMilliseconds = nil
    }
    asked = nil
  }
}
