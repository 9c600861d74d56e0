/// `/api/permissions` and `/api/topic-permissions`: what users may do, by virtual host. Knows no authorizer.

internal import AMQPWire
internal import BrokerCore
internal import Hummingbird
internal import LuaRuntime

struct PermissionRoutes: Sendable {
  let desk: Desk

  var routes: [Route] {
    [
      Route(.get, "/api/permissions") { call in
        try Listing(call).response(try await users().flatMap { Self.permissions(of: $0) })
      },
      Route(.get, "/api/permissions/:vhost/:user") { call in
        let (vhost, user) = try await named(call)
        guard let own = user.permissions[vhost] else { throw Refusal.notFound() }
        return Listing(call).response(Self.json(user, vhost, own))
      },
      Route(.put, "/api/permissions/:vhost/:user") { call in
        let (vhost, user) = try await named(call)
        let fields = try Fields(call.body)
        let own = Permissions(
          configure: try Self.pattern("configure", fields), write: try Self.pattern("write", fields),
          read: try Self.pattern("read", fields))
        try await desk.ask { try $0.users.permit(user.name, in: vhost, own) }
        return .put(isNew: user.permissions[vhost] == nil)
      },
      Route(.delete, "/api/permissions/:vhost/:user") { call in
        let (vhost, user) = try await named(call)
        try await desk.ask { try $0.users.permit(user.name, in: vhost, nil) }
        return .done
      },
      Route(.get, "/api/topic-permissions") { call in
        try Listing(call).response(try await users().flatMap { Self.topicPermissions(of: $0) })
      },
      Route(.get, "/api/topic-permissions/:vhost/:user") { call in
        let (vhost, user) = try await named(call)
        guard user.topicPermissions[vhost] != nil else { throw Refusal.notFound() }
        return try Listing(call).response(Self.topicPermissions(of: user, in: vhost))
      },
      Route(.put, "/api/topic-permissions/:vhost/:user") { call in
        let (vhost, user) = try await named(call)
        let fields = try Fields(call.body)
        guard let exchange = try fields.name("exchange") else {
          throw fields.missing("exchange", "the name of an exchange")
        }
        let own = TopicPermissions(
          write: try Self.pattern("write", fields), read: try Self.pattern("read", fields))
        try await desk.ask {
          try $0.users.permitTopics(user.name, in: vhost, exchange: ByteString(exchange), own)
        }
        return .put(isNew: user.topicPermissions[vhost]?[ByteString(exchange)] == nil)
      },
      Route(.delete, "/api/topic-permissions/:vhost/:user") { call in
        let (vhost, user) = try await named(call)
        try await desk.ask { try $0.users.permitTopics(user.name, in: vhost, exchange: nil, nil) }
        return .done
      },
      Route(.delete, "/api/topic-permissions/:vhost/:user/:exchange") { call in
        let (vhost, user) = try await named(call)
        try await desk.ask {
          try $0.users.permitTopics(user.name, in: vhost, exchange: ByteString(call.names[2]), nil)
        }
        return .done
      },
      Route(.get, "/api/vhosts/:vhost/permissions") { call in
        let vhost = try await desk.vhost(call.names[0], call)
        return try Listing(call).response(
          try await users().flatMap { user in
            user.permissions[vhost].map { [Self.json(user, vhost, $0)] } ?? []
          })
      },
      Route(.get, "/api/vhosts/:vhost/topic-permissions") { call in
        let vhost = try await desk.vhost(call.names[0], call)
        return try Listing(call).response(
          try await users().flatMap { Self.topicPermissions(of: $0, in: vhost) })
      },
    ]
  }

  private func users() async throws -> [User] { try await desk.ask { $0.users.all } }

  private func named(_ call: Call) async throws -> (ByteString, User) {
    let (vhost, name) = (ByteString(call.names[0]), ByteString(call.names[1]))
    return try await desk.ask { broker in
      guard broker.vhosts[vhost] != nil, let user = broker.users[name] else { throw Refusal.notFound() }
      return (vhost, user)
    }
  }

  private static func pattern(_ name: String, _ fields: Fields) throws -> String {
    guard let text = try fields.text(name) else { throw fields.missing(name, "a regular expression") }
    return text
  }

  // MARK: answers

  static func permissions(of user: User) -> [LuaValue] {
    user.permissions.sorted { $0.key < $1.key }.map { json(user, $0.key, $0.value) }
  }

  static func topicPermissions(of user: User) -> [LuaValue] {
    user.topicPermissions.keys.sorted().flatMap { topicPermissions(of: user, in: $0) }
  }

  private static func topicPermissions(of user: User, in vhost: ByteString) -> [LuaValue] {
    (user.topicPermissions[vhost] ?? [:]).sorted { $0.key < $1.key }.map { exchange, own in
      .table([
        "user": LuaValue(json: user.name), "vhost": LuaValue(json: vhost),
        "exchange": LuaValue(json: exchange), "write": .text(own.write), "read": .text(own.read),
      ])
    }
  }

  private static func json(_ user: User, _ vhost: ByteString, _ own: Permissions) -> LuaValue {
    .table([
      "user": LuaValue(json: user.name), "vhost": LuaValue(json: vhost), "configure": .text(own.configure),
      "write": .text(own.write), "read": .text(own.read),
    ])
  }
}
