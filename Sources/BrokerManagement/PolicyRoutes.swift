/// `/api/policies`, `/api/operator-policies` and `/api/parameters`. Knows no queue's inside.

internal import AMQPWire
internal import BrokerCore
internal import Hummingbird
internal import LuaRuntime

struct PolicyRoutes: Sendable {
  let desk: Desk

  var routes: [Route] {
    routes("/api/policies", .user, .policymaker) + routes("/api/operator-policies", .operator, .administrator)
      + [
        // Limits of virtual hosts stand beside, under `/api/vhost-limits`; nothing else has parameters here.
        Route(.get, "/api/parameters", for: .policymaker) { call in try Listing(call).response([]) },
        Route(.get, "/api/parameters/:component", for: .policymaker) { call in
          try Listing(call).response([])
        },
        Route(.get, "/api/parameters/:component/:vhost", for: .policymaker) { call in
          try Listing(call).response([])
        },
        Route(.put, "/api/parameters/:component/:vhost/:name", for: .policymaker) { call in
          throw Refusal.badRequest("Validation failed\n\ncomponent \(call.names[0]) not found\n")
        },
      ]
  }

  private func routes(_ path: String, _ kind: Policy.Kind, _ writer: Role) -> [Route] {
    [
      Route(.get, path, for: .management) { call in
        let visible = try await desk.visible(call)
        return try Listing(call).response(
          try await all(kind).filter { visible.contains($0.vhost) }.map { Self.json($0.policy, $0.vhost) })
      },
      Route(.get, "\(path)/:vhost", for: .management) { call in
        let vhost = try await desk.vhost(call.names[0], call)
        return try Listing(call).response(
          try await all(kind).filter { $0.vhost == vhost }.map { Self.json($0.policy, $0.vhost) })
      },
      Route(.get, "\(path)/:vhost/:name", for: .management) { call in
        let vhost = try await desk.vhost(call.names[0], call)
        guard let policy = try await policy(kind, vhost, call.names[1]) else { throw Refusal.notFound() }
        return Listing(call).response(Self.json(policy, vhost))
      },
      Route(.put, "\(path)/:vhost/:name", for: writer) { call in
        let vhost = try await desk.vhost(call.names[0], call)
        let known = try await policy(kind, vhost, call.names[1])
        let asked = try Self.policy(call.names[1], try Fields(call.body), kind)
        try await desk.ask { try $0.virtualHost(vhost).set(asked, kind) }
        return .put(isNew: known == nil)
      },
      Route(.delete, "\(path)/:vhost/:name", for: writer) { call in
        let vhost = try await desk.vhost(call.names[0], call)
        try await desk.ask { try $0.virtualHost(vhost).clearPolicy(ByteString(call.names[1]), kind) }
        return .done
      },
    ]
  }

  private func all(_ kind: Policy.Kind) async throws -> [(vhost: ByteString, policy: Policy)] {
    try await desk.ask { broker in
      broker.vhosts.values.sorted { $0.name < $1.name }.flatMap { vhost in
        vhost.policies.all(kind).map { (vhost.name, $0) }
      }
    }
  }

  private func policy(_ kind: Policy.Kind, _ vhost: ByteString, _ name: String) async throws -> Policy? {
    try await desk.ask { broker in
      try broker.virtualHost(vhost).policies.all(kind).first { $0.name == ByteString(name) }
    }
  }

  // MARK: values

  static func policy(_ name: String, _ fields: Fields, _ kind: Policy.Kind) throws -> Policy {
    guard let pattern = try fields.text("pattern") else {
      throw fields.missing("pattern", "a regular expression")
    }
    guard let definition = try fields.pairs("definition") else {
      throw fields.missing("definition", "an object")
    }
    let word = try fields.text("apply-to") ?? "all"
    guard let target = Policy.Target(rawValue: word) else {
      throw Refusal.badRequest(
        "Validation failed\n\napply-to '\(word)' unrecognised; should be one of: 'queues', 'classic_queues', "
          + " 'quorum_queues', 'streams', 'exchanges', or 'all'\n")
    }
    let priority: Int64
    switch fields["priority"] {
    case nil: priority = 0
    case let value?:
      guard let number = value.asInteger else {
        throw Refusal.badRequest(
          "Validation failed\n\npriority should be a number, actually was \(value.shown)\n")
      }
      priority = number
    }
    return try Policy(
      name: ByteString(name), pattern: pattern, target: target, priority: priority,
      definition: FieldTable(json: definition), kind: kind)
  }

  static func json(_ policy: Policy, _ vhost: ByteString?) -> LuaValue {
    var fields: [String: LuaValue] = [
      "name": LuaValue(json: policy.name), "pattern": .text(policy.pattern),
      "apply-to": .text(policy.target.rawValue), "priority": .integer(policy.priority),
      "definition": LuaValue(json: policy.definition),
    ]
    if let vhost { fields["vhost"] = LuaValue(json: vhost) }
    return .table(fields)
  }
}
