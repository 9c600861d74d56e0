import AMQPWire

/// The seams: what may be put into the broker from outside, native or scripted alike. Knows no script.
///
/// An absent hook costs nothing on the path of a message: exchanges, queues and consumers remember which
/// filters are for them until `generation` changes.
public final class Hooks {
  /// Asked in this order; the first that knows the user decides.
  public var authenticators: [any Authenticator] = []
  public var saslMechanisms: [ByteString: any SaslMechanism] = [:]
  /// Asked in this order, before the user's own permissions.
  public var authorizers: [any Authorizer] = []
  /// Each stage's in the order in which they run.
  public var publishFilters: [any MessageFilter] = []
  public var enqueueFilters: [any MessageFilter] = []
  public var deliverFilters: [any MessageFilter] = []
  public var declarePolicies: [any DeclarePolicy] = []
  public var deadLetterPolicies: [any DeadLetterPolicy] = []
  public var listeners: [any EventListener] = []
  /// Grows with each change of what is above: what was remembered of it is stale then.
  public private(set) var generation: UInt64 = 1

  public init() {}

  public func changed() { generation += 1 }

  public func happened(_ event: @autoclosure () -> Event) {
    guard !listeners.isEmpty else { return }
    let event = event()
    for listener in listeners { listener.happened(event) }
  }
}

// MARK: waiting

/// An answer that is there, or that comes later.
public enum Answer<Value> {
  case now(Value)
  /// The one who promised sees to it that it comes: each wait has a deadline of its own.
  case later(Pending<Value>)
}

/// An answer that comes later, on the core loop.
public final class Pending<Value> {
  /// As an answer: the value, if it has come already.
  public var answer: Answer<Value> { value.map { .now($0) } ?? .later(self) }

  public private(set) var value: Value?
  private var waiter: ((Value) -> Void)?

  public init() {}

  /// The first answer counts.
  public func answer(_ value: Value) {
    guard self.value == nil else { return }
    self.value = value
    let waiter = waiter
    self.waiter = nil
    waiter?(value)
  }

  /// Calls at once if the answer is there.
  public func whenAnswered(_ body: @escaping (Value) -> Void) {
    if let value { body(value) } else { waiter = body }
  }
}

// MARK: who somebody is

/// A user who has logged in.
public final class Identity: Sendable {
  public let name: String
  /// The name as octets, for scripts and messages.
  public let nameOctets: ByteString
  public let tags: [String]
  /// What an authenticator said of the user (`allow{as = …}`), for scripts.
  public let attributes: FieldTable
  public let rights: Rights

  /// What somebody may do where no authorizer knows.
  public enum Rights: Sendable, Equatable {
    case everything
    /// What the broker's own user of that name may, at the time.
    case ofUser
    /// By virtual host; one that is not named is refused.
    case these([ByteString: Permissions])
  }

  public init(
    name: String, tags: [String] = [], attributes: FieldTable = FieldTable(), rights: Rights = .everything
  ) {
    self.name = name
    nameOctets = ByteString(name)
    self.tags = tags
    self.attributes = attributes
    self.rights = rights
  }

  public static let none = Identity(name: "")
}

/// What a client said to log in.
public struct LoginRequest {
  public var mechanism: String
  /// Nil where the mechanism names none.
  public var user: ByteString?
  public var password: ByteString?
  public var response: ByteString
  public var peer: PeerAddress
  /// Of a client's TLS certificate.
  public var tls: TLSPeer?
  public var clientProperties: FieldTable

  public init(
    mechanism: String, user: ByteString?, password: ByteString?, response: ByteString, peer: PeerAddress,
    tls: TLSPeer? = nil, clientProperties: FieldTable
  ) {
    self.mechanism = mechanism
    self.user = user
    self.password = password
    self.response = response
    self.peer = peer
    self.tls = tls
    self.clientProperties = clientProperties
  }
}

public struct PeerAddress: Sendable, Equatable {
  public var address: String
  public var port: Int
  public var isLoopback: Bool

  public init(address: String, port: Int, isLoopback: Bool) {
    self.address = address
    self.port = port
    self.isLoopback = isLoopback
  }
}

public struct TLSPeer: Sendable, Equatable {
  public var subject: String
  /// Subject alternative names.
  public var names: [String]

  public init(subject: String, names: [String]) {
    self.subject = subject
    self.names = names
  }
}

public enum LoginAnswer {
  case allowed(Identity)
  /// The reason is for the log; the client sees 403 only.
  case denied(String)
  /// The next in the chain is asked.
  case unknown
}

public protocol Authenticator: AnyObject {
  var name: String { get }
  func authenticate(_ login: LoginRequest) -> Answer<LoginAnswer>
}

/// A SASL mechanism beside PLAIN and AMQPLAIN.
public protocol SaslMechanism: AnyObject {
  func begin(_ login: LoginRequest) -> any SaslConversation
}

public protocol SaslConversation: AnyObject {
  /// - Parameter response: nil at first: the client's first response is in the login
  func step(_ response: ByteString?) -> Answer<SaslStep>
  /// The client is gone.
  func abandon()
}

public enum SaslStep {
  case challenge(ByteString)
  case done(LoginAnswer)
}

// MARK: what somebody may do

public struct AccessRequest: Hashable, Sendable {
  public enum Operation: String, Sendable { case connect, configure, write, read }
  public enum Resource: String, Sendable { case vhost, queue, exchange, topic }

  public var operation: Operation
  public var resource: Resource
  public var vhost: ByteString
  /// Of the vhost, queue or exchange.
  public var name: ByteString
  /// For a topic only.
  public var routingKey: ByteString?

  public init(
    _ operation: Operation, _ resource: Resource, vhost: ByteString, name: ByteString,
    routingKey: ByteString? = nil
  ) {
    self.operation = operation
    self.resource = resource
    self.vhost = vhost
    self.name = name
    self.routingKey = routingKey
  }
}

public enum AccessAnswer {
  case allowed
  case denied(String)
  /// The next is asked, and at last the user's own permissions.
  case unknown
}

public protocol Authorizer: AnyObject {
  func authorize(_ request: AccessRequest, _ identity: Identity, _ peer: PeerAddress) -> Answer<AccessAnswer>
}

// MARK: messages

/// Where a filter stands.
public struct FilterContext {
  /// A virtual host keeps its last context, and outlives all that are made of it.
  public unowned(unsafe) let vhost: VirtualHost
  /// Who publishes, or on deliver who consumes.
  public let identity: Identity
  /// On enqueue and deliver.
  public let queue: Queue?
  public let redelivered: Bool
  /// After a `delay`.
  public let delayedMilliseconds: Int64?

  public init(
    vhost: VirtualHost, identity: Identity, queue: Queue? = nil, redelivered: Bool = false,
    delayedMilliseconds: Int64? = nil
  ) {
    self.vhost = vhost
    self.identity = identity
    self.queue = queue
    self.redelivered = redelivered
    self.delayedMilliseconds = delayedMilliseconds
  }
}

public enum FilterVerdict {
  case pass
  case changed(Message)
  case dropped(String)
  case denied(String)
  /// It comes as another then, if there is one.
  case delayed(milliseconds: Int64, as: Message? = nil)
  /// Goes on, and the publisher's connection is not read for so long.
  case throttled(milliseconds: Int64)
  /// The filter itself failed: as `denied`; on deliver the message goes back once before.
  case failed(String)
}

public protocol MessageFilter: AnyObject {
  var name: String { get }
  /// Asked once for each exchange (publish) or queue (enqueue, deliver) and generation of the hooks.
  func isFor(vhost: ByteString, name: ByteString) -> Bool
  func run(_ message: Message, _ context: FilterContext) -> FilterVerdict
}

/// Decides for one binding of a headers exchange whose `x-match` names it.
public protocol HeaderMatcher: AnyObject {
  func matches(_ message: Message) -> Bool
}

/// Makes the matcher of one binding, or throws 406 if its arguments are refused.
public typealias HeaderMatcherMaker = (Binding) throws(ProtocolError) -> any HeaderMatcher

// MARK: declarations

public enum DeclareAnswer {
  case pass
  /// These arguments are set, the others stay.
  case changed(FieldTable)
  case denied(String)
}

extension DeclareAnswer {
  /// - Throws: 406 with the reason of a denial
  func applied(to arguments: FieldTable) throws(ProtocolError) -> FieldTable {
    switch self {
    case .pass: return arguments
    case .denied(let reason): throw ProtocolError(.preconditionFailed, reason)
    case .changed(let set):
      var changed = arguments
      for (name, value) in set.fields { changed[name] = value }
      return changed
    }
  }
}

public protocol DeclarePolicy: AnyObject {
  func exchangeDeclared(_ definition: ExchangeDefinition, in vhost: ByteString, by identity: Identity)
    -> DeclareAnswer
  func queueDeclared(_ definition: QueueDefinition, in vhost: ByteString, by identity: Identity)
    -> DeclareAnswer
}

// MARK: dead letters

public struct Death {
  public enum Reason: String, Sendable {
    case rejected, expired, maxlen
    case deliveryLimit = "delivery_limit"
  }
  public var reason: Reason
  /// How often this queue has dead-lettered this message for this reason, this time included.
  public var count: Int64

  public init(reason: Reason, count: Int64) {
    self.reason = reason
    self.count = count
  }
}

public enum DeathAnswer {
  case pass
  /// Back into the same queue, later; as another, if there is one.
  case delayed(milliseconds: Int64, as: Message? = nil)
  case dropped(String)
}

public protocol DeadLetterPolicy: AnyObject {
  /// - Returns: nil if it is not asked about that queue
  func dies(_ message: Message, _ death: Death, _ context: FilterContext) -> DeathAnswer
}

// MARK: events

public enum Event {
  case connectionOpened(ConnectionEvent)
  case connectionClosed(ConnectionEvent, reason: String)
  case queueCreated(Queue)
  case queueDeleted(Queue)
  case exchangeCreated(Exchange)
  case exchangeDeleted(Exchange)
  case messageDropped(DroppedMessage)
  case alarmRaised(String)
  case alarmCleared(String)
}

public struct ConnectionEvent {
  public let peer: PeerAddress
  public let user: String
  public let vhost: ByteString
  public let clientProperties: FieldTable

  public init(peer: PeerAddress, user: String, vhost: ByteString, clientProperties: FieldTable) {
    self.peer = peer
    self.user = user
    self.vhost = vhost
    self.clientProperties = clientProperties
  }
}

public struct DroppedMessage {
  public let vhost: ByteString
  public let exchange: ByteString
  public let routingKey: ByteString
  public let queue: ByteString?
  public let reason: String

  public init(_ message: Message, vhost: ByteString, queue: ByteString? = nil, reason: String) {
    self.vhost = vhost
    exchange = ByteString(message.exchange)
    routingKey = ByteString(message.routingKey)
    self.queue = queue
    self.reason = reason
  }
}

public protocol EventListener: AnyObject {
  func happened(_ event: Event)
}
