/// `/api/exchanges`: what they are, and messages published to them. Knows no exchange's inside.

internal import AMQPWire
internal import BrokerCore
internal import Hummingbird
internal import LuaRuntime

struct ExchangeRoutes: Sendable {
  let desk: Desk

  var routes: [Route] {
    [
      Route(.get, "/api/exchanges", for: .management) { call in
        let visible = try await desk.visible(call)
        return try Listing(call).response(try await reports { visible.contains($0) }.map(\.json))
      },
      Route(.get, "/api/exchanges/:vhost", for: .management) { call in
        let vhost = try await desk.vhost(call.names[0], call)
        return try Listing(call).response(try await reports { $0 == vhost }.map(\.json))
      },
      Route(.get, "/api/exchanges/:vhost/:name", for: .management) { call in
        let (vhost, name) = try await named(call)
        let report = try await desk.ask { broker in
          try broker.virtualHost(vhost).exchanges[name].map(ExchangeReport.init)
        }
        guard let report else { throw Refusal.notFound() }
        return Listing(call).response(report.json)
      },
      Route(.put, "/api/exchanges/:vhost/:name", for: .management) { call in try await declare(call) },
      Route(.delete, "/api/exchanges/:vhost/:name", for: .management) { call in try await delete(call) },
      Route(.post, "/api/exchanges/:vhost/:name/publish", for: .management) { call in
        try await publish(call)
      },
    ]
  }

  private func reports(_ isWanted: @escaping @Sendable (ByteString) -> Bool) async throws -> [ExchangeReport]
  {
    try await desk.gather { broker in
      broker.vhosts.values.filter { isWanted($0.name) }.sorted { $0.name < $1.name }.flatMap { vhost in
        vhost.exchanges.values.sorted { $0.name < $1.name }
      }
    } _: {
      ExchangeReport($0)
    }
  }

  private func named(_ call: Call) async throws -> (vhost: ByteString, name: ByteString) {
    (try await desk.vhost(call.names[0], call), Self.exchange(call.names[1]))
  }

  /// In paths the default exchange has a name.
  static func exchange(_ name: String) -> ByteString { name == "amq.default" ? "" : ByteString(name) }

  private func declare(_ call: Call) async throws -> Response {
    let (vhost, name) = try await named(call)
    let definition = try Self.definition(name, try Fields(call.body))
    guard !name.isEmpty else {
      throw ProtocolError(.accessRefused, "operation not permitted on the default exchange")
    }
    var requests = [BrokerCore.AccessRequest(.configure, .exchange, vhost: vhost, name: name)]
    if let alternate = definition.arguments["alternate-exchange"]?.string {
      requests.append(.init(.read, .exchange, vhost: vhost, name: name))
      requests.append(.init(.write, .exchange, vhost: vhost, name: alternate))
    }
    try await desk.require(requests, call)
    let identity = call.login.identity
    return .put(
      isNew: try await desk.ask { broker in
        let vhost = try broker.virtualHost(vhost)
        let isNew = vhost.exchanges[name] == nil
        try vhost.declare(definition, by: identity)
        return isNew
      })
  }

  static func definition(_ name: ByteString, _ fields: Fields) throws -> ExchangeDefinition {
    guard let type = try fields.name("type") else { throw fields.missing("type", "an exchange type") }
    return ExchangeDefinition(
      name: name, type: ByteString(type), durable: try fields.flag("durable") ?? true,
      autoDelete: try fields.flag("auto_delete") ?? false, isInternal: try fields.flag("internal") ?? false,
      arguments: try fields.arguments())
  }

  private func delete(_ call: Call) async throws -> Response {
    let (vhost, name) = try await named(call)
    guard !name.hasPrefix("amq."), !name.isEmpty else {
      throw ProtocolError(
        .accessRefused, "deletion of system exchange '\(name)' in vhost '\(vhost)' not allowed")
    }
    guard try await desk.ask({ try $0.virtualHost(vhost).exchanges[name] != nil }) else {
      throw Refusal.notFound()
    }
    try await desk.require([.init(.configure, .exchange, vhost: vhost, name: name)], call)
    let ifUnused = call.query["if-unused"] == "true"
    try await desk.ask { try $0.virtualHost(vhost).deleteExchange(name, ifUnused: ifUnused) }
    return .done
  }

  // MARK: publishing

  private func publish(_ call: Call) async throws -> Response {
    let (vhost, name) = try await named(call)
    let fields = try Fields(call.body)
    guard let key = try fields.name("routing_key") else {
      throw fields.missing("routing_key", "a string")
    }
    guard fields["payload"] != nil else { throw fields.missing("payload", "a string") }
    let body = try fields.payload()
    let properties = try Self.properties(try fields.table("properties") ?? [:])
    // 400 as in RabbitMQ 3.13, though it is 404 anywhere else.
    guard try await desk.ask({ try $0.virtualHost(vhost).exchanges[name] != nil }) else {
      throw Refusal.badRequest("exchange_not_found")
    }
    let shown = name.isEmpty ? "amq.default" : name
    try await desk.require([.init(.write, .exchange, vhost: vhost, name: shown)], call)
    let identity = call.login.identity
    let routed = try await desk.publish(
      body, properties, to: name, key: ByteString(key), in: vhost, by: identity)
    return .json(.table(["routed": .boolean(routed)]))
  }

  static func properties(_ fields: [String: LuaValue]) throws -> BasicProperties {
    var properties = BasicProperties()
    var rest = fields
    switch rest.removeValue(forKey: "headers") {
    case nil, .null?: break
    case .table(let headers)?: properties.headers = FieldTable(json: headers)
    case let value?: throw Refusal.badRequest("properties.headers: \(value.shown), expected an object")
    }
    let known = try Properties.checked(rest)
    func text(_ name: String) -> ByteString? { known[name]?.text.map { ByteString($0) } }
    properties.contentType = text("content_type")
    properties.contentEncoding = text("content_encoding")
    properties.deliveryMode = known["delivery_mode"]?.asInteger.map { UInt8(clamping: $0) }
    properties.priority = known["priority"]?.asInteger.map { UInt8(clamping: $0) }
    properties.correlationID = text("correlation_id")
    properties.replyTo = text("reply_to")
    properties.expiration = text("expiration")
    properties.messageID = text("message_id")
    properties.timestamp = known["timestamp"]?.asInteger.map { UInt64(clamping: $0) }
    properties.type = text("type")
    properties.userID = text("user_id")
    properties.appID = text("app_id")
    properties.clusterID = text("cluster_id")
    return properties
  }
}

/// An exchange as it was when it was asked.
struct ExchangeReport: Sendable {
  let vhost: ByteString
  let name: ByteString
  let type: ByteString
  let durable: Bool
  let autoDelete: Bool
  let isInternal: Bool
  let arguments: FieldTable
  let policy: ByteString?

  init(_ exchange: Exchange) {
    vhost = exchange.vhost.name
    name = exchange.name
    type = exchange.typeName
    durable = exchange.durable
    autoDelete = exchange.autoDelete
    isInternal = exchange.isInternal
    arguments = exchange.arguments
    policy = exchange.policies.user?.name
  }

  var json: LuaValue {
    var fields = definition
    fields["vhost"] = LuaValue(json: vhost)
    if let policy { fields["policy"] = LuaValue(json: policy) }
    fields["user_who_performed_action"] = .text("")
    return .table(fields)
  }

  /// As a definitions file has it.
  var definition: [String: LuaValue] {
    [
      "name": LuaValue(json: name), "type": LuaValue(json: type), "durable": .boolean(durable),
      "auto_delete": .boolean(autoDelete), "internal": .boolean(isInternal),
      "arguments": LuaValue(json: arguments),
    ]
  }
}
