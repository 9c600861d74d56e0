/// `/api/queues`: what they are and hold, and messages taken out of them. Knows no queue's inside.

internal import AMQPWire
internal import BrokerCore
internal import BrokerServer
internal import Foundation
internal import Hummingbird
internal import LuaRuntime

struct QueueRoutes: Sendable {
  let desk: Desk

  var routes: [Route] {
    [
      Route(.get, "/api/queues", for: .management) { call in
        let visible = try await desk.visible(call)
        return try Listing(call).response(try await reports { visible.contains($0) }.map(\.json))
      },
      Route(.get, "/api/queues/:vhost", for: .management) { call in
        let vhost = try await desk.vhost(call.names[0], call)
        return try Listing(call).response(try await reports { $0 == vhost }.map(\.json))
      },
      Route(.get, "/api/queues/:vhost/:name", for: .management) { call in
        let (vhost, name) = try await named(call)
        let report = try await desk.ask { QueueReport(try Self.queue(name, in: vhost, of: $0)) }
        return Listing(call).response(report.json)
      },
      Route(.put, "/api/queues/:vhost/:name", for: .management) { call in try await declare(call) },
      Route(.delete, "/api/queues/:vhost/:name", for: .management) { call in try await delete(call) },
      Route(.delete, "/api/queues/:vhost/:name/contents", for: .management) { call in
        let (vhost, name) = try await existing(call)
        try await desk.require([.init(.read, .queue, vhost: vhost, name: name)], call)
        try await desk.ask { broker in
          let queue = try Self.queue(name, in: vhost, of: broker)
          guard queue.owner == nil else { throw queue.isLocked }
          try queue.checkRemoval(by: "queue.purge")
          _ = queue.purge()
        }
        return .done
      },
      Route(.post, "/api/queues/:vhost/:name/get", for: .management) { call in try await get(call) },
      // There is nothing to synchronise.
      Route(.post, "/api/queues/:vhost/:name/actions", for: .administrator) { call in
        _ = try await existing(call)
        return .done
      },
    ]
  }

  private func reports(_ isWanted: @escaping @Sendable (ByteString) -> Bool) async throws -> [QueueReport] {
    try await desk.gather { broker in
      broker.vhosts.values.filter { isWanted($0.name) }.sorted { $0.name < $1.name }.flatMap(\.queues)
    } _: {
      $0.isDeleted ? nil : QueueReport($0)
    }
    .sorted { ($0.vhost, $0.name) < ($1.vhost, $1.name) }
  }

  private func named(_ call: Call) async throws -> (vhost: ByteString, name: ByteString) {
    (try await desk.vhost(call.names[0], call), ByteString(call.names[1]))
  }

  private func existing(_ call: Call) async throws -> (vhost: ByteString, name: ByteString) {
    let (vhost, name) = try await named(call)
    try await desk.ask { _ = try Self.queue(name, in: vhost, of: $0) }
    return (vhost, name)
  }

  /// - Throws: 404 if there is none
  static func queue(_ name: ByteString, in vhost: ByteString, of broker: Broker) throws -> Queue {
    guard let queue = name.withOctets({ broker.vhosts[vhost]?.queue(named: $0) }) else {
      throw Refusal.notFound()
    }
    return queue
  }

  private func declare(_ call: Call) async throws -> Response {
    let (vhost, name) = try await named(call)
    let definition = try Self.definition(name, try Fields(call.body))
    var requests = [BrokerCore.AccessRequest(.configure, .queue, vhost: vhost, name: name)]
    if let deadLetters = definition.arguments["x-dead-letter-exchange"]?.string {
      requests.append(.init(.read, .queue, vhost: vhost, name: name))
      requests.append(.init(.write, .exchange, vhost: vhost, name: deadLetters))
    }
    try await desk.require(requests, call)
    let identity = call.login.identity
    return .put(
      isNew: try await desk.ask { broker in
        let vhost = try broker.virtualHost(vhost)
        let isNew = !vhost.hasQueue(name)
        if isNew {
          guard !name.hasPrefix("amq.") else {
            throw ProtocolError(.accessRefused, "queue name '\(name)' contains reserved prefix 'amq.*'")
          }
          try vhost.checkQueueLimit(for: name)
        }
        _ = try vhost.declare(definition, by: identity)
        return isNew
      })
  }

  static func definition(_ name: ByteString, _ fields: Fields) throws -> QueueDefinition {
    QueueDefinition(
      name: name, durable: try fields.flag("durable") ?? true,
      autoDelete: try fields.flag("auto_delete") ?? false, arguments: try fields.arguments())
  }

  private func delete(_ call: Call) async throws -> Response {
    let (vhost, name) = try await existing(call)
    try await desk.require([.init(.configure, .queue, vhost: vhost, name: name)], call)
    let (ifEmpty, ifUnused) = (call.query["if-empty"] == "true", call.query["if-unused"] == "true")
    try await desk.ask { broker in
      let queue = try Self.queue(name, in: vhost, of: broker)
      guard queue.owner == nil else { throw queue.isLocked }
      if ifEmpty, queue.readyCount > 0 {
        throw ProtocolError(.preconditionFailed, "\(queue.described) not empty")
      }
      if ifUnused, queue.consumerCount > 0 {
        throw ProtocolError(.preconditionFailed, "\(queue.described) in use")
      }
      queue.vhost.remove(queue)
    }
    return .done
  }

  // MARK: getting

  private func get(_ call: Call) async throws -> Response {
    let (vhost, name) = try await existing(call)
    let fields = try Fields(call.body)
    guard let count = try fields.integer("count", in: 1...10_000) else {
      throw fields.missing("count", "how many messages")
    }
    let mode = try Self.mode(fields)
    let encoding = try fields.text("encoding") ?? "auto"
    guard ["auto", "base64"].contains(encoding) else {
      throw Refusal.badRequest("encoding: '\(encoding)', expected auto or base64")
    }
    let most = try fields.integer("truncate", in: 0...Int64(Int32.max)).map { Int($0) }
    try await desk.require([.init(.read, .queue, vhost: vhost, name: name)], call)
    let got = try await desk.get(
      Int(count), from: name, in: vhost, by: call.login.identity, mode.settlement)
    return .json(.list(try got.map { try $0.json(inBase64: encoding == "base64", most: most) }))
  }

  private enum Mode: String {
    case acknowledge = "ack_requeue_false"
    case requeue = "ack_requeue_true"
    case reject = "reject_requeue_false"
    case rejectAndRequeue = "reject_requeue_true"

    var settlement: Settlement {
      switch self {
      case .acknowledge: .acknowledged
      case .reject: .rejected(requeue: false)
      case .requeue, .rejectAndRequeue: .rejected(requeue: true)
      }
    }
  }

  private static func mode(_ fields: Fields) throws -> Mode {
    if let word = try fields.text("ackmode") {
      guard let mode = Mode(rawValue: word) else {
        throw Refusal.badRequest(
          "ackmode: '\(word)', expected ack_requeue_true, ack_requeue_false, reject_requeue_true or "
            + "reject_requeue_false")
      }
      return mode
    }
    // Of RabbitMQ before 3.7.
    guard let requeue = try fields.flag("requeue") else {
      throw fields.missing("ackmode", "what becomes of the messages")
    }
    return requeue ? .requeue : .acknowledge
  }
}

/// A queue as it was when it was asked.
struct QueueReport: Sendable {
  let vhost: ByteString
  let name: ByteString
  let durable: Bool
  let autoDelete: Bool
  let isExclusive: Bool
  let arguments: FieldTable
  let type: QueueType
  let ready: Int
  let unsettled: Int
  let readyOctets: Int
  let consumers: Int
  let policies: PoliciesInForce
  let node: String

  init(_ queue: Queue) {
    vhost = queue.vhost.name
    name = queue.name
    durable = queue.durable
    autoDelete = queue.autoDelete
    isExclusive = queue.owner != nil
    arguments = queue.arguments
    type = queue.type
    ready = queue.readyCount
    unsettled = queue.unsettledCount
    readyOctets = queue.readyOctets
    consumers = queue.consumerCount
    policies = queue.policies
    node = queue.vhost.broker.settings.nodeName
  }

  var json: LuaValue {
    var fields = definition
    fields["vhost"] = LuaValue(json: vhost)
    fields["exclusive"] = .boolean(isExclusive)
    fields["node"] = .text(node)
    fields["state"] = .text("running")
    fields["messages"] = .integer(Int64(ready + unsettled))
    fields["messages_ready"] = .integer(Int64(ready))
    fields["messages_unacknowledged"] = .integer(Int64(unsettled))
    fields["message_bytes"] = .integer(Int64(readyOctets))
    fields["message_bytes_ready"] = .integer(Int64(readyOctets))
    fields["consumers"] = .integer(Int64(consumers))
    fields["policy"] = policies.user.map { LuaValue(json: $0.name) } ?? .null
    fields["operator_policy"] = policies.operator.map { LuaValue(json: $0.name) } ?? .null
    fields["effective_policy_definition"] = LuaValue(json: policies.definition)
    return .table(fields)
  }

  /// As a definitions file has it.
  var definition: [String: LuaValue] {
    [
      "name": LuaValue(json: name), "durable": .boolean(durable), "auto_delete": .boolean(autoDelete),
      "arguments": LuaValue(json: arguments), "type": LuaValue(json: type.rawValue),
    ]
  }
}

/// A message that was taken out of a queue.
extension Server.Taken {
  /// - Parameter most: octets of the body that are shown; nil: all
  func json(inBase64: Bool, most: Int?) throws -> LuaValue {
    let shown = most.map { Array(body.prefix($0)) } ?? body
    let text = inBase64 ? nil : String(validating: shown, as: UTF8.self)
    return .table([
      "payload_bytes": .integer(Int64(body.count)), "redelivered": .boolean(redelivered),
      "exchange": LuaValue(json: exchange), "routing_key": LuaValue(json: routingKey),
      "message_count": .integer(Int64(left)), "properties": try propertiesInJSON(),
      "payload": .text(text ?? Data(shown).base64EncodedString()),
      "payload_encoding": .text(text == nil ? "base64" : "string"),
    ])
  }

  private func propertiesInJSON() throws -> LuaValue {
    let own = try properties.withOctets { (octets) throws(ProtocolError) in try BasicProperties(octets) }
    var fields: [String: LuaValue] = [:]
    let texts: [(String, ByteString?)] = [
      ("content_type", own.contentType), ("content_encoding", own.contentEncoding),
      ("correlation_id", own.correlationID), ("reply_to", own.replyTo), ("expiration", own.expiration),
      ("message_id", own.messageID), ("type", own.type), ("user_id", own.userID), ("app_id", own.appID),
      ("cluster_id", own.clusterID),
    ]
    for (name, text) in texts where text != nil { fields[name] = text.map { LuaValue(json: $0) } }
    let numbers: [(String, Int64?)] = [
      ("delivery_mode", own.deliveryMode.map { Int64($0) }), ("priority", own.priority.map { Int64($0) }),
      ("timestamp", own.timestamp.map { Int64(clamping: $0) }),
    ]
    for (name, number) in numbers where number != nil { fields[name] = number.map { .integer($0) } }
    if let headers = own.headers { fields["headers"] = LuaValue(json: headers) }
    return .table(fields)
  }
}
