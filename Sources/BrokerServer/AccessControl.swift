import AMQPWire
import BrokerCore
import Logging

/// What the user of a connection may do: asks the authorizers, then the user's own permissions, and keeps the
/// answers for a while. Knows no frame.
final class AccessControl {
  typealias Request = BrokerCore.AccessRequest

  private struct Known {
    var isAllowed: Bool
    var since: UInt64
  }

  /// A day: whoever wants answers for longer wants no authorizer.
  private static let mostSeconds = 86_400.0

  let identity: Identity
  private let peer: Peer
  private let broker: Broker
  private let nanoseconds: UInt64
  private var known: [Request: Known] = [:]
  /// The requests of `known`, a ring once it is full.
  private var order: [Request] = []
  private var oldest = 0
  /// The hooks that the answers come from.
  private var generation: UInt64
  /// Answers that the operation at hand waited for. They are good for it even if they are not kept: it would
  /// else wait for them again and again.
  private var waitedFor: [Request: Bool] = [:]
  /// By virtual host; a connection has one.
  private var granted: [ByteString: GrantedPermissions] = [:]

  init(_ identity: Identity, _ peer: Peer, _ broker: Broker) {
    self.identity = identity
    self.peer = peer
    self.broker = broker
    let seconds = broker.settings.accessCacheSeconds
    nanoseconds = seconds > 0 ? UInt64(min(seconds, Self.mostSeconds) * 1e9) : 0
    generation = broker.hooks.generation
  }

  /// Nobody restricts anything, so that nothing has to be asked.
  var isOpen: Bool { identity.permissions == nil && broker.hooks.authorizers.isEmpty }

  /// Authorizers restrict routing keys too, and what they say grows old.
  var asksAuthorizers: Bool { !broker.hooks.authorizers.isEmpty }

  func ask(_ request: Request) -> Answer<Bool> {
    let hooks = broker.hooks
    let now = broker.clock.nanoseconds
    if let isAllowed = waitedFor[request] { return .now(isAllowed) }
    if hooks.generation != generation { forget(since: hooks.generation) }
    if let known = known[request], now &- known.since < nanoseconds { return .now(known.isAllowed) }
    switch hooks.authorize(request, identity, peer.address) {
    case .now(let answer):
      let isAllowed = decide(request, answer)
      keep(request, isAllowed)
      return .now(isAllowed)
    case .later(let pending):
      let answer = Pending<Bool>()
      let asked = generation
      pending.whenAnswered { [weak self] value in
        guard let self else { return }
        let isAllowed = decide(request, value)
        if asked == broker.hooks.generation { keep(request, isAllowed) }
        waitedFor[request] = isAllowed
        answer.answer(isAllowed)
      }
      return .later(answer)
    }
  }

  /// The operation that had to wait is through.
  func operationIsDone() { waitedFor = [:] }

  private func decide(_ request: Request, _ answer: AccessAnswer) -> Bool {
    switch answer {
    case .allowed: return true
    case .denied(let reason):
      broker.logger.info("\(peer): \(Self.describe(request)) denied to user '\(identity.name)': \(reason)")
      return false
    case .unknown:
      guard let permissions = identity.permissions else { return true }
      guard let own = permissions[request.vhost] else { return false }
      return granted(own, in: request.vhost).allow(request)
    }
  }

  private func granted(_ own: Permissions, in vhost: ByteString) -> GrantedPermissions {
    if let granted = granted[vhost] { return granted }
    let granted = GrantedPermissions(own)
    for fault in granted.faults {
      broker.logger.warning("\(peer): user '\(identity.name)' has no pattern for vhost '\(vhost)': \(fault)")
    }
    self.granted[vhost] = granted
    return granted
  }

  // MARK: what is kept

  private func keep(_ request: Request, _ isAllowed: Bool) {
    let isNew =
      known.updateValue(Known(isAllowed: isAllowed, since: broker.clock.nanoseconds), forKey: request) == nil
    guard isNew else { return }
    guard order.count >= Settings.accessCacheMaximum else { return order.append(request) }
    known[order[oldest]] = nil
    order[oldest] = request
    oldest = (oldest + 1) % order.count
  }

  private func forget(since generation: UInt64) {
    self.generation = generation
    known = [:]
    order = []
    oldest = 0
  }

  // MARK: words

  /// As RabbitMQ says it: "write access to topic 'k' in exchange 'x' in vhost '/'".
  private static func describe(_ request: Request) -> String {
    switch request.resource {
    case .vhost: "access to vhost '\(request.name)'"
    case .queue, .exchange:
      "\(request.operation.rawValue) access to \(request.resource.rawValue) '\(request.name)' in vhost "
        + "'\(request.vhost)'"
    case .topic:
      "\(request.operation.rawValue) access to topic '\(request.routingKey ?? "")' in exchange '\(request.name)' "
        + "in vhost '\(request.vhost)'"
    }
  }

  /// 403, or 530 for a virtual host.
  func refusal(of request: Request) -> ProtocolError {
    ProtocolError(
      request.resource == .vhost ? .notAllowed : .accessRefused,
      "\(Self.describe(request)) refused for user '\(identity.name)'")
  }
}

extension ProtocolError {
  /// Leaves an operation that waits for an answer. It is done once more when the answer is there; nobody is told.
  static let undecided = ProtocolError(.internalError, "the answer is not there yet")
}

/// The checks of a channel's methods, before they have any effect.
extension ClientChannel {
  func check(_ operation: AccessControl.Request.Operation, queue name: ByteString) throws(ProtocolError) {
    guard !connection.access.isOpen else { return }
    try connection.check(.init(operation, .queue, vhost: vhost.name, name: name))
  }

  func check(_ operation: AccessControl.Request.Operation, exchange name: ByteString) throws(ProtocolError) {
    guard !connection.access.isOpen else { return }
    try connection.check(.init(operation, .exchange, vhost: vhost.name, name: Self.shown(name)))
  }

  /// A routing key to or from an exchange of type topic; others have no topics.
  func check(
    _ operation: AccessControl.Request.Operation, topic key: ByteString, of exchange: Exchange
  ) throws(ProtocolError) {
    guard connection.access.asksAuthorizers, exchange.hasTopics else { return }
    try connection.check(
      .init(operation, .topic, vhost: vhost.name, name: exchange.name, routingKey: key))
  }

  /// Whoever may do anything with it may see that it is there (rabbitmq-server #16085).
  func checkAny(queue name: ByteString) throws(ProtocolError) {
    try checkAny(.queue, name)
  }

  func checkAny(exchange name: ByteString) throws(ProtocolError) {
    try checkAny(.exchange, Self.shown(name))
  }

  private func checkAny(_ resource: AccessControl.Request.Resource, _ name: ByteString) throws(ProtocolError)
  {
    guard !connection.access.isOpen else { return }
    for operation in [AccessControl.Request.Operation.read, .write] {
      if try connection.isAllowed(.init(operation, resource, vhost: vhost.name, name: name)) { return }
    }
    try connection.check(.init(.configure, resource, vhost: vhost.name, name: name))
  }

  /// The default exchange has a name where permissions are concerned.
  private static func shown(_ exchange: ByteString) -> ByteString {
    exchange.isEmpty ? "amq.default" : exchange
  }
}

extension Exchange {
  var hasTopics: Bool { typeName == "topic" }
}
