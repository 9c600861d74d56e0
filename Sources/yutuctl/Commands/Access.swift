/// Permissions: what users may do, by virtual host.
extension Command {
  static let access: [Command] = [
    Command(
      "set_permissions", in: .access, "[-p vhost] username conf write read", words: 4...4,
      "Says which names a user may configure, write to and read from, as regular expressions.",
      example: "set_permissions -p / yugo \".*\" \".*\" \".*\""
    ) { call in
      let name = call.words[0]
      call.output.banner("Setting permissions for user \"\(name)\" in vhost \"\(call.vhost)\" ...")
      try await call.expectUser(name, shown: name)
      try await call.expectVirtualHost()
      try await call.ask(
        .put, "permissions", call.vhost, name,
        body: .object([
          "configure": .text(call.words[1]), "write": .text(call.words[2]), "read": .text(call.words[3]),
        ]))
    },
    Command(
      "clear_permissions", in: .access, "[-p vhost] username", words: 1...1,
      "Takes a user's permissions in a virtual host away.", example: "clear_permissions -p / yugo"
    ) { call in
      let name = call.words[0]
      call.output.banner("Clearing permissions for user \"\(name)\" in vhost \"\(call.vhost)\" ...")
      try await call.expectUser(name, shown: name)
      try await call.expectVirtualHost()
      try await call.ask(.delete, "permissions", call.vhost, name)
    },
    Command(
      "list_permissions", in: .access, "[-p vhost]", words: 0...0, "Lists permissions in a virtual host.",
      example: "list_permissions -p /"
    ) { call in
      call.output.banner("Listing permissions for vhost \"\(call.vhost)\" ...")
      call.output.table(
        ["user", "configure", "write", "read"], try await call.list("vhosts", call.vhost, "permissions"))
    },
    Command(
      "list_user_permissions", in: .access, "username", words: 1...1, "Lists a user's permissions.",
      example: "list_user_permissions yugo"
    ) { call in
      call.output.banner("Listing permissions for user \"\(call.words[0])\" ...")
      try await call.expectUser(call.words[0])
      call.output.table(
        ["vhost", "configure", "write", "read"],
        try await call.ask(.get, "users", call.words[0], "permissions").items)
    },
    Command(
      "set_topic_permissions", in: .access, "[-p vhost] username exchange write read", words: 4...4,
      "Says which routing keys a user may use with a topic exchange; {username} and {vhost} stand for its own.",
      example: "set_topic_permissions -p / yugo amq.topic \"^{username}-.*\" \".*\""
    ) { call in
      let (name, exchange) = (call.words[0], call.words[1])
      call.output.banner(
        "Setting topic permissions on \"\(exchange)\" for user \"\(name)\" in vhost \"\(call.vhost)\" ...")
      try await call.expectUser(name)
      try await call.expectVirtualHost()
      try await call.ask(
        .put, "topic-permissions", call.vhost, name,
        body: .object([
          "exchange": .text(exchange), "write": .text(call.words[2]), "read": .text(call.words[3]),
        ]))
    },
    Command(
      "clear_topic_permissions", in: .access, "[-p vhost] username [exchange]", words: 1...2,
      "Takes a user's topic permissions away.", example: "clear_topic_permissions -p / yugo amq.topic"
    ) { call in
      let name = call.words[0]
      call.output.banner(
        (call.words.count > 1
          ? "Clearing topic permissions on \"\(call.words[1])\"" : "Clearing topic permissions")
          + " for user \"\(name)\" in vhost \"\(call.vhost)\" ...")
      try await call.expectUser(name)
      try await call.expectVirtualHost()
      try await call.broker.ask(.delete, ["topic-permissions", call.vhost] + call.words)
    },
    Command(
      "list_topic_permissions", in: .access, "[-p vhost]", words: 0...0,
      "Lists topic permissions in a virtual host.", example: "list_topic_permissions -p /"
    ) { call in
      call.output.banner("Listing topic permissions for vhost \"\(call.vhost)\" ...")
      call.output.table(
        ["user", "exchange", "write", "read"], try await call.list("vhosts", call.vhost, "topic-permissions"))
    },
    Command(
      "list_user_topic_permissions", in: .access, "username", words: 1...1,
      "Lists a user's topic permissions.",
      example: "list_user_topic_permissions yugo"
    ) { call in
      call.output.banner("Listing topic permissions for user \"\(call.words[0])\" ...")
      try await call.expectUser(call.words[0])
      call.output.table(
        ["vhost", "exchange", "write", "read"],
        try await call.ask(.get, "users", call.words[0], "topic-permissions").items)
    },
  ]
}

extension Call {
  func expectVirtualHost(_ name: String? = nil) async throws {
    let name = name ?? vhost
    do { try await ask(.get, "vhosts", name) } catch let refused as Broker.Refused where refused.status == 404
    {
      throw Failure(.badData, "Virtual host '\(name)' does not exist")
    }
  }
}
