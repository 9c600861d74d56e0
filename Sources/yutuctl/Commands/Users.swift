/// Users: who may log in, with which tags and limits.
extension Command {
  static let users: [Command] = [
    Command(
      "add_user", in: .users, "username [password]", words: 1...2, "Adds a user, who may do nothing yet.",
      example: "add_user yugo 123"
    ) { call in
      let (name, password) = (call.words[0], try call.secret(at: 1))
      call.output.banner("Adding user \"\(name)\" ...")
      if let known = try? await call.ask(.get, "users", name), known != .null {
        throw Failure(.software, "User \"\(name)\" already exists")
      }
      try await call.ask(
        .put, "users", name, body: .object(["password": .text(password), "tags": .list([])]))
      call.output.banner(
        "Done. Don't forget to grant the user permissions to some virtual hosts! See 'rabbitmqctl help "
          + "set_permissions' to learn more.")
    },
    Command(
      "delete_user", in: .users, "username", words: 1...1, "Takes a user away, and closes its connections.",
      example: "delete_user yugo"
    ) { call in
      call.output.banner("Deleting user \"\(call.words[0])\" ...")
      try await call.expectUser(call.words[0])
      try await call.ask(.delete, "users", call.words[0])
    },
    Command(
      "change_password", in: .users, "username [password]", words: 1...2, "Gives a user another password.",
      example: "change_password yugo 456"
    ) { call in
      let (name, password) = (call.words[0], try call.secret(at: 1))
      call.output.banner("Changing password for user \"\(name)\" ...")
      try await call.putUser(name, ["password": .text(password)])
    },
    Command(
      "clear_password", in: .users, "username", words: 1...1,
      "Takes a user's password away: none is right from then on.", example: "clear_password yugo"
    ) { call in
      call.output.banner("Clearing password for user \"\(call.words[0])\" ...")
      try await call.putUser(call.words[0], ["password_hash": .text("")])
    },
    Command(
      "authenticate_user", in: .users, "username [password]", words: 1...2,
      "Asks all authenticators whether they let a user in.", example: "authenticate_user yugo 123"
    ) { call in
      let (name, password) = (call.words[0], try call.secret(at: 1))
      call.output.banner("Authenticating user \"\(name)\" ...")
      do {
        try await call.broker.ask(.get, ["auth", "check"], as: "\(name):\(password)")
      } catch let refused as Broker.Refused where refused.status == 401 {
        throw Failure(
          .badData, "Error: failed to authenticate user \"\(name)\"\nuser '\(name)' - invalid credentials")
      }
      call.output.write("Success")
    },
    Command(
      "set_user_tags", in: .users, "username [tag …]", words: 1...100,
      "Says what a user is for: administrator, monitoring, policymaker, management, impersonator.",
      example: "set_user_tags yugo administrator"
    ) { call in
      let (name, tags) = (call.words[0], call.words.dropFirst())
      call.output.banner("Setting tags for user \"\(name)\" to [\(tags.joined(separator: ", "))] ...")
      try await call.putUser(name, ["tags": .list(tags.map { .text($0) })])
    },
    Command("list_users", in: .users, words: 0...0, "Lists users and their tags.", example: "list_users") {
      call in
      call.output.banner("Listing users ...")
      let users = try await call.ask(.get, "users").items.map { user in
        JSON.object(["user": user["name"] ?? .null, "tags": user["tags"] ?? .list([])])
      }
      call.output.table(["user", "tags"], users)
    },
    Command(
      "set_user_limits", in: .users, "username definition", words: 2...2,
      "Bounds a user's connections and channels.",
      example: "set_user_limits yugo '{\"max-connections\": 10, \"max-channels\": 100}'"
    ) { call in
      let (name, text) = (call.words[0], call.words[1])
      call.output.banner("Setting user limits to \"\(text)\" for user \"\(name)\" ...")
      try await call.expectUser(name)
      for (limit, value) in try call.fields(text) {
        try await call.ask(.put, "user-limits", name, limit, body: .object(["value": value]))
      }
    },
    Command(
      "clear_user_limits", in: .users, "username limit | all", words: 2...2, "Takes a user's limits away.",
      example: "clear_user_limits yugo all"
    ) { call in
      let (name, limit) = (call.words[0], call.words[1])
      call.output.banner(
        limit == "all"
          ? "Clearing all limits for user \"\(name)\" ..."
          : "Clearing \"\(limit)\" limit for user \"\(name)\" ...")
      try await call.expectUser(name)
      for limit in limit == "all" ? ["max-connections", "max-channels"] : [limit] {
        try await call.ask(.delete, "user-limits", name, limit)
      }
    },
    Command(
      "list_user_limits", in: .users, "[--user username | --global]", words: 0...0, "Lists limits of users.",
      example: "list_user_limits --user yugo"
    ) { call in
      if let user = call.options.user {
        call.output.banner("Listing limits for user \"\(user)\" ...")
        try await call.expectUser(user)
        let limits = try await call.ask(.get, "user-limits", user).items
        return call.output.write((limits.first?["value"] ?? .object([:])).compact)
      }
      call.output.banner("Listing limits for all users ...")
      let limits = try await call.ask(.get, "user-limits").items
      call.output.table(
        ["user", "limits"],
        limits.map { .object(["user": $0["user"] ?? .null, "limits": $0["value"] ?? .null]) })
    },
  ]
}

extension Call {
  /// - Parameter shown: the name as the error has it: rabbitmqctl quotes it most of the time
  func expectUser(_ name: String, shown: String? = nil) async throws {
    do { try await ask(.get, "users", name) } catch let refused as Broker.Refused where refused.status == 404
    {
      throw Failure(.noUser, "User \(shown ?? "\"\(name)\"") does not exist")
    }
  }

  /// Changes what is named, and leaves the rest.
  fileprivate func putUser(_ name: String, _ changes: [String: JSON]) async throws {
    try await expectUser(name)
    var fields = changes
    if fields["tags"] == nil { fields["tags"] = try await ask(.get, "users", name)["tags"] ?? .list([]) }
    try await ask(.put, "users", name, body: .object(fields))
  }

  /// A definition on the command line.
  func fields(_ text: String) throws -> [(key: String, value: JSON)] {
    guard case .object(let fields) = try JSON(parsing: .init(text.utf8), "'\(text)'") else {
      throw Failure(.badData, "'\(text)' is no JSON object")
    }
    return fields.sorted { $0.key < $1.key }
  }
}
