/// `/api/vhosts` and `/api/vhost-limits`. Knows no queue's inside.

internal import AMQPWire
internal import BrokerCore
internal import Hummingbird
internal import LuaRuntime

struct VirtualHostRoutes: Sendable {
  let desk: Desk

  var routes: [Route] {
    [
      Route(.get, "/api/vhosts", for: .management) { call in
        let visible = try await desk.visible(call)
        return try Listing(call).response(
          try await reports().filter { visible.contains($0.name) }.map(Self.json))
      },
      Route(.get, "/api/vhosts/:name", for: .management) { call in
        let name = try await desk.vhost(call.names[0], call)
        guard let report = try await reports().first(where: { $0.name == name }) else {
          throw Refusal.notFound()
        }
        return Listing(call).response(Self.json(report))
      },
      Route(.put, "/api/vhosts/:name") { call in
        let fields = try Fields(call.body)
        let (definition, tracing) = (try Self.definition(fields), try fields.flag("tracing"))
        let name = ByteString(call.names[0])
        return .put(
          isNew: try await desk.ask { broker in
            let isNew = try Self.put(name, definition, into: broker)
            if let tracing { try broker.virtualHost(name).setTracing(tracing) }
            return isNew
          })
      },
      Route(.delete, "/api/vhosts/:name") { call in
        try await desk.ask { try $0.removeVirtualHost(ByteString(call.names[0])) }
        return .done
      },
      // It runs already.
      Route(.post, "/api/vhosts/:name/start/:node") { call in
        _ = try await desk.vhost(call.names[0], call)
        return .done
      },
      Route(.get, "/api/vhost-limits", for: .management) { call in
        let visible = try await desk.visible(call)
        return try Listing(call).response(
          try await reports().filter { visible.contains($0.name) }.compactMap(Self.limits))
      },
      Route(.get, "/api/vhost-limits/:name", for: .management) { call in
        let name = try await desk.vhost(call.names[0], call)
        return try Listing(call).response(
          try await reports().filter { $0.name == name }.compactMap(Self.limits))
      },
      Route(.put, "/api/vhost-limits/:name/:limit") { call in
        let value = try Fields(call.body).integer("value", in: Int64(Int32.min)...Int64(Int32.max))
        guard let value else { throw Refusal.badRequest("value: missing, expected an integer") }
        try await limit(call, Int(value))
        return .done
      },
      Route(.delete, "/api/vhost-limits/:name/:limit") { call in
        try await limit(call, nil)
        return .done
      },
    ]
  }

  /// - Returns: whether it is new
  static func put(_ name: ByteString, _ definition: VirtualHostDefinition, into broker: Broker) throws -> Bool
  {
    if broker.vhosts[name] != nil {
      try broker.changeVirtualHost(name, definition)
      return false
    }
    try broker.addVirtualHost(name, definition)
    return true
  }

  static func definition(_ fields: Fields) throws -> VirtualHostDefinition {
    let more = Fields(fields: try fields.table("metadata") ?? [:])
    let type = try fields.text("default_queue_type") ?? more.text("default_queue_type")
    return VirtualHostDefinition(
      description: try fields.text("description") ?? more.text("description") ?? "",
      tags: try fields.words("tags") ?? more.words("tags") ?? [],
      // What RabbitMQ exports where nothing is chosen.
      defaultQueueType: type.flatMap { $0 == "undefined" ? nil : ByteString($0) })
  }

  private func limit(_ call: Call, _ value: Int?) async throws {
    let name = ByteString(call.names[0])
    let path = try Self.limit(call.names[1])
    try await desk.ask { broker in
      var limits = try broker.virtualHost(name).limits
      limits[keyPath: path] = value
      try broker.limitVirtualHost(name, limits)
    }
  }

  static func limit(_ name: String) throws -> WritableKeyPath<VirtualHostLimits, Int?> & Sendable {
    switch name {
    case "max-connections": \.connections
    case "max-queues": \.queues
    default: throw Refusal.badRequest("'\(name)' is no limit of virtual hosts: max-connections or max-queues")
    }
  }

  // MARK: answers

  struct Report: Sendable {
    let name: ByteString
    let definition: VirtualHostDefinition
    let limits: VirtualHostLimits
    let connections: Int
    let queues: Int
    let isTraced: Bool
    let node: String
  }

  private func reports() async throws -> [Report] {
    try await desk.ask { broker in
      broker.vhosts.values.sorted { $0.name < $1.name }.map {
        Report(
          name: $0.name, definition: $0.definition, limits: $0.limits,
          connections: broker.census.connections(in: $0.name), queues: $0.queueCount,
          isTraced: $0.isTraced, node: broker.settings.nodeName)
      }
    }
  }

  private static func json(_ report: Report) -> LuaValue {
    let description = report.definition.description
    let tags: LuaValue = .list(report.definition.tags.map { .text($0) })
    let type: LuaValue = report.definition.defaultQueueType.map { LuaValue(json: $0) } ?? .text("undefined")
    return .table([
      "name": LuaValue(json: report.name), "description": .text(description), "tags": tags,
      "default_queue_type": type,
      "metadata": .table(["description": .text(description), "tags": tags, "default_queue_type": type]),
      "tracing": .boolean(report.isTraced), "cluster_state": .table([report.node: .text("running")]),
    ])
  }

  private static func limits(_ report: Report) -> LuaValue? {
    let value = limits(report.limits)
    guard case .table(let fields) = value, !fields.isEmpty else { return nil }
    return .table(["vhost": LuaValue(json: report.name), "value": value])
  }

  static func limits(_ limits: VirtualHostLimits) -> LuaValue {
    var fields: [String: LuaValue] = [:]
    if let most = limits.connections { fields["max-connections"] = .integer(Int64(most)) }
    if let most = limits.queues { fields["max-queues"] = .integer(Int64(most)) }
    return .table(fields)
  }
}
