/// `/api/users`, `/api/whoami`, `/api/user-limits`: the broker's own users. Knows no password, but for its hash.

internal import AMQPWire
internal import BrokerCore
internal import Foundation
internal import Hummingbird
internal import LuaRuntime

struct UserRoutes: Sendable {
  let desk: Desk

  var routes: [Route] {
    [
      Route(.get, "/api/whoami", for: .management) { call in
        .json(.table(["name": .text(call.login.name), "tags": .list(call.login.tags.map { .text($0) })]))
      },
      Route(.get, "/api/auth/hash_password/:password") { call in
        let hash = PasswordHash(of: ByteString(call.names[0]))
        return .json(.table(["ok": .text(Data(hash.octets).base64EncodedString())]))
      },
      Route(.get, "/api/users") { call in
        try Listing(call).response(try await users().map(Self.json))
      },
      Route(.get, "/api/users/without-permissions") { call in
        try Listing(call).response(try await users().filter(\.permissions.isEmpty).map(Self.json))
      },
      Route(.post, "/api/users/bulk-delete") { call in
        let names = try Fields(call.body).words("users") ?? []
        try await desk.ask { broker in
          for name in names where broker.users[ByteString(name)] != nil {
            try broker.users.remove(ByteString(name))
          }
        }
        return .done
      },
      Route(.get, "/api/users/:name") { call in Listing(call).response(Self.json(try await user(call))) },
      Route(.put, "/api/users/:name") { call in
        let name = ByteString(call.names[0])
        let change = try Self.change(try Fields(call.body))
        return .put(isNew: try await desk.ask { try change.apply(to: name, of: $0.users) })
      },
      Route(.delete, "/api/users/:name") { call in
        try await desk.ask { try $0.users.remove(ByteString(call.names[0])) }
        return .done
      },
      Route(.get, "/api/users/:name/permissions") { call in
        let user = try await user(call)
        return try Listing(call).response(PermissionRoutes.permissions(of: user))
      },
      Route(.get, "/api/users/:name/topic-permissions") { call in
        let user = try await user(call)
        return try Listing(call).response(PermissionRoutes.topicPermissions(of: user))
      },
      Route(.get, "/api/user-limits") { call in
        try Listing(call).response(try await users().compactMap(Self.limits))
      },
      Route(.get, "/api/user-limits/:name") { call in
        try Listing(call).response([try await user(call)].compactMap(Self.limits))
      },
      Route(.put, "/api/user-limits/:name/:limit") { call in
        let value = try Fields(call.body).integer("value", in: Int64(Int32.min)...Int64(Int32.max))
        guard let value else { throw Refusal.badRequest("value: missing, expected an integer") }
        try await change(call) { $0[keyPath: try Self.limit(call.names[1])] = Int(value) }
        return .done
      },
      Route(.delete, "/api/user-limits/:name/:limit") { call in
        try await change(call) { $0[keyPath: try Self.limit(call.names[1])] = nil }
        return .done
      },
    ]
  }

  private func users() async throws -> [User] { try await desk.ask { $0.users.all } }

  private func user(_ call: Call) async throws -> User {
    let name = ByteString(call.names[0])
    guard let user = try await desk.ask({ $0.users[name] }) else { throw Refusal.notFound() }
    return user
  }

  private func change(
    _ call: Call, _ body: @escaping @Sendable (inout UserLimits) throws -> Void
  ) async throws {
    let user = try await user(call)
    var limits = user.limits
    try body(&limits)
    let changed = limits
    try await desk.ask { try $0.users.change(user.name) { $0.limits = changed } }
  }

  private static func limit(_ name: String) throws -> WritableKeyPath<UserLimits, Int?> {
    switch name {
    case "max-connections": \.connections
    case "max-channels": \.channels
    default: throw Refusal.badRequest("'\(name)' is no limit of users: max-connections or max-channels")
    }
  }

  private static func limits(of user: User) -> LuaValue? {
    let value = limits(user.limits)
    guard case .table(let fields) = value, !fields.isEmpty else { return nil }
    return .table(["user": LuaValue(json: user.name), "value": value])
  }

  static func limits(_ limits: UserLimits) -> LuaValue {
    var fields: [String: LuaValue] = [:]
    if let most = limits.connections { fields["max-connections"] = .integer(Int64(most)) }
    if let most = limits.channels { fields["max-channels"] = .integer(Int64(most)) }
    return .table(fields)
  }

  static func json(_ user: User) -> LuaValue {
    .table([
      "name": LuaValue(json: user.name),
      "password_hash": .text(user.password.map { Data($0.octets).base64EncodedString() } ?? ""),
      "hashing_algorithm": .text((user.password?.algorithm ?? .sha256).rawValue),
      "tags": .list(user.tags.map { .text($0) }), "limits": limits(user.limits),
    ])
  }

  // MARK: what a body asks for

  struct Change: Sendable {
    /// Nil leaves it.
    var password: PasswordHash??
    var tags: [String]
    var limits: UserLimits?

    /// - Returns: whether the user is new
    func apply(to name: ByteString, of users: Users) throws(BrokerCore.Refusal) -> Bool {
      let known = users[name]
      var user = known ?? User(name: name, password: nil)
      if let password { user.password = password }
      user.tags = tags
      if let limits { user.limits = limits }
      users.put(user)
      return known == nil
    }
  }

  static func change(_ fields: Fields) throws -> Change {
    guard let tags = try fields.words("tags") else { throw Refusal.badRequest("tags_not_present") }
    var change = Change(tags: tags)
    if let hash = try fields.text("password_hash") {
      change.password = .some(try Self.hash(hash, try fields.text("hashing_algorithm")))
    } else if let password = try fields.text("password") {
      change.password = .some(PasswordHash(of: ByteString(password)))
    }
    if let limits = try fields.pairs("limits"), !limits.isEmpty {
      change.limits = UserLimits(
        connections: limits["max-connections"]?.asInteger.map { Int(clamping: $0) },
        channels: limits["max-channels"]?.asInteger.map { Int(clamping: $0) })
    }
    return change
  }

  /// The empty hash is that of nobody.
  private static func hash(_ text: String, _ algorithm: String?) throws -> PasswordHash? {
    guard !text.isEmpty else { return nil }
    let name = algorithm ?? PasswordHash.Algorithm.sha256.rawValue
    guard let algorithm = PasswordHash.Algorithm(rawValue: name) else {
      let known = PasswordHash.Algorithm.allCases.map(\.rawValue).joined(separator: ", ")
      throw Refusal.badRequest("hashing_algorithm: '\(name)' is unknown, expected one of \(known)")
    }
    guard let octets = Data(base64Encoded: text), let hash = PasswordHash(octets: Array(octets), algorithm)
    else {
      throw Refusal.badRequest("password_hash: no base64 of four octets of salt and a digest of \(name)")
    }
    return hash
  }
}
