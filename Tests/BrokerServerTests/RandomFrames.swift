/// Frames by chance: methods whose fields mostly fit what is there, so as to get far, and wrong octets.
import AMQPWire
import BrokerTestKit

/// Fills a method's fields: names of things that are mostly there, small numbers, and the edges of each type.
struct RandomFields: FieldVisitor {
  var chance: Chance
  /// Tags that have been delivered to the channel.
  var tags: [UInt64] = []

  private static let names: [ByteString] = [
    "q0", "q1", "q2", "q3", "x0", "x1", "x2", "t0", "t1", "t2", "amq.fanout", "amq.topic", "amq.direct",
    "amq.headers",
    "", "fanout", "direct", "topic", "headers", "a.b", "#", "amq.rabbitmq.reply-to",
  ]
  private static let tables: [FieldTable] = [
    [:], [:], [:], ["x-match": "any", "a": 1], ["x-priority": 3], ["x-max-length": .int32(2)],
    ["x-message-ttl": "no"],
    ["alternate-exchange": "x1"], ["a": .table(["b": .array([1, .void, .double(.nan)])])],
    ["CC": .array(["q1", "q2"]), "BCC": .array(["q3"])],
  ]

  mutating func bit(_ value: inout Bool) { value = chance.oneIn(4) }
  mutating func octet(_ value: inout UInt8) { value = UInt8(chance.below(256)) }
  mutating func short(_ value: inout UInt16) { value = chance.pick([0, 1, 2, 5, .max]) }
  mutating func long(_ value: inout UInt32) { value = chance.oneIn(20) ? .max : 0 }
  mutating func longLong(_ value: inout UInt64) {
    value = tags.isEmpty || chance.oneIn(8) ? chance.pick([0, 1, 2, 3, .max]) : chance.pick(tags)
  }
  mutating func shortString(_ value: inout ByteString) {
    value =
      chance.oneIn(40)
      ? ByteString((0..<chance.below(256)).map { _ in UInt8(chance.below(256)) })
      : chance.pick(Self.names)
  }
  mutating func longString(_ value: inout ByteString) { value = chance.pick(Self.names) }
  mutating func table(_ value: inout FieldTable) { value = chance.pick(Self.tables) }

  mutating func properties() -> BasicProperties {
    var properties = BasicProperties()
    if chance.oneIn(3) { properties.headers = chance.pick(Self.tables) }
    if chance.oneIn(10) { properties.expiration = chance.pick(["1000", "0", "60000", "-1"]) }
    if chance.oneIn(10) { properties.userID = chance.pick(["guest", "guest", "guest", "root"]) }
    if chance.oneIn(30) { properties.replyTo = chance.pick(["amq.rabbitmq.reply-to", "q0"]) }
    if chance.oneIn(5) { properties.deliveryMode = UInt8(chance.below(3)) }
    return properties
  }

  /// The method's frame, its fields by chance, and mostly such that it is not refused.
  mutating func frame(_ type: any Method.Type, channel: UInt16) -> [UInt8] {
    var method = type.init()
    do { try method.visit(&self) } catch { preconditionFailure("chance does not fail") }
    if !chance.oneIn(12) { method = sensible(method) }
    return Octets.method(method, channel: channel)
  }

  private mutating func sensible(_ method: any Method) -> any Method {
    switch method {
    case var method as QueueDeclare:
      method.queue = chance.pick(["q0", "q1", "q2", "q3"])
      (method.durable, method.exclusive, method.autoDelete) = (false, false, false)
      method.arguments = [:]
      return method
    case var method as QueueBind:
      method.queue = chance.pick(["q0", "q1", "q2", "q3"])
      method.exchange = chance.pick(["amq.fanout", "amq.topic", "amq.direct", "amq.headers"])
      method.arguments = ["a": 1]
      return method
    case var method as ExchangeDeclare:
      method.exchange = chance.pick(["x0", "x1"])
      method.type = method.exchange == "x0" ? "fanout" : "topic"
      (method.durable, method.autoDelete, method.isInternal, method.arguments) = (false, false, false, [:])
      return method
    case var method as ExchangeBind:
      method.source = chance.pick(["amq.fanout", "amq.topic"])
      method.destination = chance.pick(["amq.fanout", "amq.direct"])
      method.arguments = [:]
      return method
    case var method as BasicConsume:
      method.queue = chance.pick(["q0", "q1", "q2", "q3"])
      method.consumerTag = ""
      method.exclusive = false
      method.arguments = ["x-priority": .int64(Int64(chance.below(3)))]
      return method
    case var method as BasicQos:
      method.prefetchSize = 0
      return method
    case var method as BasicGet:
      method.queue = chance.pick(["q0", "q1", "q2", "q3"])
      return method
    case var method as QueuePurge:
      method.queue = chance.pick(["q0", "q1", "q2", "q3"])
      return method
    case var method as BasicAck where method.multiple && tags.isEmpty:
      method.deliveryTag = 0
      return method
    case var method as BasicNack where tags.isEmpty:
      (method.deliveryTag, method.multiple) = (0, true)
      return method
    case var method as BasicRecover:
      method.requeue = true
      return method
    case var method as BasicRecoverAsync:
      method.requeue = true
      return method
    case var method as ChannelFlow:
      method.active = true
      return method
    default: return method
    }
  }

  /// A whole publish.
  mutating func publish(channel: UInt16) -> [UInt8] {
    let method = BasicPublish {
      $0.exchange = chance.pick(["", "", "amq.fanout", "amq.topic", "amq.headers"])
      if chance.oneIn(30) { $0.exchange = "x0" }
      $0.routingKey = chance.pick(["q0", "q1", "q2", "q3", "a.b"])
      $0.mandatory = chance.oneIn(4)
    }
    let body = [UInt8](repeating: 98, count: chance.oneIn(100) ? 600 : chance.pick([0, 1, 20, 400]))
    return Octets.publish(method, channel: channel, properties: properties(), body: body)
  }
}

extension Chance {
  /// `octets` after an accident.
  mutating func damaged(_ octets: [UInt8]) -> [UInt8] {
    guard !octets.isEmpty else { return octets }
    var octets = octets
    let place = below(octets.count)
    switch below(5) {
    case 0: octets[place] = UInt8(below(256))
    case 1: octets[place] ^= 1 << UInt8(below(8))
    case 2: octets.insert(UInt8(below(256)), at: place)
    case 3: octets.remove(at: place)
    default: octets.removeLast(octets.count - place)
    }
    return octets
  }

  /// Cut at random places.
  mutating func pieces(_ octets: [UInt8]) -> [[UInt8]] {
    var pieces: [[UInt8]] = []
    var start = 0
    while start < octets.count {
      let end = min(octets.count, start + 1 + below(40))
      pieces.append(Array(octets[start..<end]))
      start = end
    }
    return pieces
  }
}

/// Methods that a client may send on a channel, those that get on more often than those that end something.
enum RandomMethods {
  static let all: [any Method.Type] = MethodID.all
  static let ofClients: [any Method.Type] = [
    QueueDeclare.self, QueueDeclare.self, QueueDeclare.self, QueueBind.self, QueueBind.self, QueueUnbind.self,
    QueuePurge.self, QueueDelete.self, ExchangeDeclare.self, ExchangeBind.self, ExchangeUnbind.self,
    ExchangeDelete.self, BasicQos.self, BasicConsume.self, BasicConsume.self, BasicConsume.self,
    BasicCancel.self,
    BasicGet.self, BasicGet.self, BasicAck.self, BasicAck.self, BasicNack.self, BasicReject.self,
    BasicRecover.self, BasicRecoverAsync.self, ConfirmSelect.self, ChannelFlow.self, ChannelClose.self,
    AccessRequest.self,
  ]
  static let ofTransactions: [any Method.Type] = [TxSelect.self, TxCommit.self, TxRollback.self]
}
