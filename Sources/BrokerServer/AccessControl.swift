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
  /// What the user may do in its connection's virtual host, as it was last looked up.
  private var granted: (vhost: ByteString, own: GrantedPermissions)?

  init(_ identity: Identity, _ peer: Peer, _ broker: Broker) {
    self.identity = identity
    self.peer = peer
    self.broker = broker
    let seconds = broker.settings.accessCacheSeconds
    nanoseconds = seconds > 0 ? UInt64(min(seconds, Self.mostSeconds) * 1e9) : 0
    generation = broker.hooks.generation
  }

  private var hooks: Hooks { broker.hooks }

  /// Nobody restricts anything, so that nothing has to be asked.
  // hot: asked of each publish that is not like the last.
  func isOpen(in vhost: ByteString) -> Bool {
    guard broker.hooks.authorizers.isEmpty else { return false }
    if case .everything = identity.rights { return true }
    return own(in: vhost)?.allowsEverything ?? false
  }

  /// Routing keys of that exchange are to be asked about.
  func asksAboutTopics(of exchange: Exchange) -> Bool {
    guard exchange.hasTopics else { return false }
    return asksAuthorizers || own(in: exchange.vhost.name)?.restrictsTopics(of: exchange.name) ?? false
  }

  /// Authorizers restrict routing keys too, and what they say grows old.
  var asksAuthorizers: Bool { !broker.hooks.authorizers.isEmpty }

  func ask(_ request: Request) -> Answer<Bool> {
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

  /// What was remembered is asked anew.
  func renew() { if waitedFor.isEmpty { forget(since: hooks.generation) } }

  /// The operation that had to wait is through.
  func operationIsDone() { waitedFor = [:] }

  private func decide(_ request: Request, _ answer: AccessAnswer) -> Bool {
    switch answer {
    case .allowed: return true
    case .denied(let reason):
      broker.logger.info("\(peer): \(Self.describe(request)) denied to user '\(identity.name)': \(reason)")
      return false
    case .unknown:
      if case .everything = identity.rights { return true }
      return own(in: request.vhost)?.allow(request) ?? false
    }
  }

  /// What the user itself may do in a virtual host; nil: nothing, or nothing is asked of it.
  private func own(in vhost: ByteString) -> GrantedPermissions? {
    if hooks.generation != generation { forget(since: hooks.generation) }
    if let granted, granted.vhost == vhost { return granted.own }
    let granted: GrantedPermissions
    switch identity.rights {
    case .everything: return nil
    case .these(let permissions):
      guard let own = permissions[vhost] else { return nil }
      granted = GrantedPermissions(own)
    case .ofUser:
      guard let user = broker.users[identity.nameOctets], let own = user.permissions[vhost] else {
        return nil
      }
      var variables = [("username", identity.nameOctets), ("vhost", vhost)]
      if let client = identity.attributes["client_id"]?.string { variables.append(("client_id", client)) }
      granted = GrantedPermissions(
        own, topics: user.topicPermissions[vhost] ?? [:],
        variables: variables.map { (name: $0.0, value: $0.1) })
    }
    for fault in granted.faults {
      broker.logger.warning("\(peer): user '\(identity.name)' has no pattern for vhost '\(vhost)': \(fault)")
    }
    self.granted = (vhost, granted)
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
    granted = nil
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
    guard !connection.access.isOpen(in: vhost.name) else { return }
    try connection.check(.init(operation, .queue, vhost: vhost.name, name: name))
  }

  func check(_ operation: AccessControl.Request.Operation, exchange name: ByteString) throws(ProtocolError) {
    guard !connection.access.isOpen(in: vhost.name) else { return }
    try connection.check(.init(operation, .exchange, vhost: vhost.name, name: Self.shown(name)))
  }

  /// A routing key to or from an exchange of type topic; others have no topics.
  func check(
    _ operation: AccessControl.Request.Operation, topic key: ByteString, of exchange: Exchange
  ) throws(ProtocolError) {
    guard connection.access.asksAboutTopics(of: exchange) else { return }
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
    guard !connection.access.isOpen(in: vhost.name) else { return }
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
