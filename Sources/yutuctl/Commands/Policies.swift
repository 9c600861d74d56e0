/// Policies, and those of the operator, which bound them.
extension Command {
  static let policies: [Command] = [
    Command(
      "set_policy", in: .policies, "[-p vhost] [--priority n] [--apply-to what] name pattern definition",
      words: 3...3, "Asks something of all queues and exchanges whose names match.",
      example: "set_policy ttl '^tmp\\.' '{\"message-ttl\": 60000}' --priority 1 --apply-to queues"
    ) { call in
      let (name, pattern, text) = (call.words[0], call.words[1], call.words[2])
      call.output.banner(
        "Setting policy \"\(name)\" for pattern \"\(pattern)\" to \"\(text)\" with priority "
          + "\"\(call.options.priority)\" for vhost \"\(call.vhost)\" ...")
      try await call.setPolicy("policies")
    },
    Command(
      "clear_policy", in: .policies, "[-p vhost] name", words: 1...1, "Takes a policy away.",
      example: "clear_policy ttl"
    ) { call in
      call.output.banner("Clearing policy \"\(call.words[0])\" on vhost \"\(call.vhost)\" ...")
      try await call.clearPolicy("policies")
    },
    Command(
      "list_policies", in: .policies, "[-p vhost]", words: 0...0, "Lists policies.", example: "list_policies"
    ) { call in
      call.output.banner("Listing policies for vhost \"\(call.vhost)\" ...")
      try await call.listPolicies("policies")
    },
    Command(
      "set_operator_policy", in: .policies,
      "[-p vhost] [--priority n] [--apply-to what] name pattern definition",
      words: 3...3, "Bounds what policies and arguments ask for.",
      example: "set_operator_policy bound '.*' '{\"max-length\": 100000}' --apply-to queues"
    ) { call in
      let (name, pattern, text) = (call.words[0], call.words[1], call.words[2])
      call.output.banner(
        "Setting operator policy override \"\(name)\" for pattern \"\(pattern)\" to \"\(text)\" with priority "
          + "\"\(call.options.priority)\" for vhost \"\(call.vhost)\" ...")
      try await call.setPolicy("operator-policies")
    },
    Command(
      "clear_operator_policy", in: .policies, "[-p vhost] name", words: 1...1,
      "Takes an operator's policy away.", example: "clear_operator_policy bound"
    ) { call in
      call.output.banner("Clearing operator policy \"\(call.words[0])\" on vhost \"\(call.vhost)\" ...")
      try await call.clearPolicy("operator-policies")
    },
    Command(
      "list_operator_policies", in: .policies, "[-p vhost]", words: 0...0, "Lists the operator's policies.",
      example: "list_operator_policies"
    ) { call in
      call.output.banner("Listing operator policy overrides for vhost \"\(call.vhost)\" ...")
      try await call.listPolicies("operator-policies")
    },
  ]
}

extension Call {
  fileprivate func setPolicy(_ path: String) async throws {
    guard let definition = try? JSON(parsing: .init(words[2].utf8), "") else {
      throw Failure(.unavailable, "JSON decoding error. Reason: '\(words[2])' is no JSON")
    }
    try await expectVirtualHost()
    try await ask(
      .put, path, vhost, words[0],
      body: .object([
        "pattern": .text(words[1]), "definition": definition, "priority": .integer(options.priority),
        "apply-to": .text(options.target),
      ]))
  }

  fileprivate func clearPolicy(_ path: String) async throws {
    try await expectVirtualHost()
    do { try await ask(.delete, path, vhost, words[0]) } catch let refused as Broker.Refused
      where refused.status == 404
    { throw Failure(.unavailable, "Parameter does not exist") }
  }

  fileprivate func listPolicies(_ path: String) async throws {
    try await expectVirtualHost()
    output.table(
      ["vhost", "name", "pattern", "apply-to", "definition", "priority"],
      try await ask(.get, path, vhost).items)
  }
}
