/// Virtual hosts, and their limits.
extension Command {
  static let virtualHosts: [Command] = [
    Command(
      "add_vhost", in: .vhosts, "vhost [--description text] [--tags a,b] [--default-queue-type type]",
      words: 1...1, "Makes a virtual host.", example: "add_vhost orders --default-queue-type quorum"
    ) { call in
      call.output.banner("Adding vhost \"\(call.words[0])\" ...")
      let options = call.options
      var fields: [String: JSON] = [:]
      fields["description"] = options.description.map { .text($0) }
      fields["tags"] = options.tags.map { .text($0) }
      fields["default_queue_type"] = options.defaultQueueType.map { .text($0) }
      // What is there stays as it is.
      let known = try? await call.ask(.get, "vhosts", call.words[0])
      guard !fields.isEmpty || known == nil else { return }
      try await call.ask(.put, "vhosts", call.words[0], body: .object(fields))
    },
    Command(
      "delete_vhost", in: .vhosts, "vhost", words: 1...1,
      "Takes a virtual host away, with all that is in it.", example: "delete_vhost orders"
    ) { call in
      call.output.banner("Deleting vhost \"\(call.words[0])\" ...")
      try await call.expectVirtualHost(call.words[0])
      try await call.ask(.delete, "vhosts", call.words[0])
    },
    Command(
      "list_vhosts", in: .vhosts, "[column …]", words: 0...20, "Lists virtual hosts.",
      example: "list_vhosts name description"
    ) { call in
      call.output.banner("Listing vhosts ...")
      let columns = call.columns(["name"])
      try Columns.check(
        columns,
        ["name", "description", "tags", "default_queue_type", "tracing", "cluster_state", "metadata"])
      call.output.table(columns, try await call.ask(.get, "vhosts").items)
    },
    Command(
      "set_vhost_tags", in: .vhosts, "vhost [tag …]", words: 1...100, "Gives a virtual host tags.",
      example: "set_vhost_tags orders production"
    ) { call in
      let (name, tags) = (call.words[0], call.words.dropFirst())
      call.output.banner("Setting tags for virtual host \"\(name)\" to [\(tags.joined(separator: ", "))] ...")
      try await call.putVirtualHost(name, ["tags": .list(tags.map { .text($0) })])
    },
    Command(
      "set_vhost_limits", in: .vhosts, "[-p vhost] definition", words: 1...1,
      "Bounds a virtual host's connections and queues.",
      example: "set_vhost_limits -p orders '{\"max-connections\": 100, \"max-queues\": 50}'"
    ) { call in
      call.output.banner("Setting vhost limits to \"\(call.words[0])\" for vhost \"\(call.vhost)\" ...")
      try await call.expectVirtualHost()
      for (limit, value) in try call.fields(call.words[0]) {
        try await call.ask(.put, "vhost-limits", call.vhost, limit, body: .object(["value": value]))
      }
    },
    Command(
      "clear_vhost_limits", in: .vhosts, "[-p vhost]", words: 0...0, "Takes a virtual host's limits away.",
      example: "clear_vhost_limits -p orders"
    ) { call in
      call.output.banner("Clearing vhost \"\(call.vhost)\" limits ...")
      try await call.expectVirtualHost()
      for limit in ["max-connections", "max-queues"] {
        try await call.ask(.delete, "vhost-limits", call.vhost, limit)
      }
    },
    Command(
      "list_vhost_limits", in: .vhosts, "[-p vhost] [--global]", words: 0...0,
      "Lists limits of virtual hosts.", example: "list_vhost_limits --global"
    ) { call in
      guard call.options.isGlobal else {
        call.output.banner("Listing limits for vhost \"\(call.vhost)\" ...")
        let limits = try await call.list("vhost-limits", call.vhost)
        return call.output.write((limits.first?["value"] ?? .object([:])).compact)
      }
      call.output.banner("Listing limits for all vhosts ...")
      let limits = try await call.ask(.get, "vhost-limits").items
      call.output.table(
        ["vhost", "limits"],
        limits.map { .object(["vhost": $0["vhost"] ?? .null, "limits": $0["value"] ?? .null]) })
    },
    Command(
      "trace_on", in: .vhosts, "[-p vhost]", words: 0...0,
      "Copies all that is published and delivered to the exchange amq.rabbitmq.trace.",
      example: "trace_on -p /"
    ) { call in
      call.output.banner("Starting tracing for vhost \"\(call.vhost)\" ...")
      try await call.putVirtualHost(call.vhost, ["tracing": .flag(true)])
      call.output.write("Trace enabled for vhost \(call.vhost)")
    },
    Command(
      "trace_off", in: .vhosts, "[-p vhost]", words: 0...0, "Ends that.", example: "trace_off -p /"
    ) { call in
      call.output.banner("Stopping tracing for vhost \"\(call.vhost)\" ...")
      try await call.putVirtualHost(call.vhost, ["tracing": .flag(false)])
      call.output.write("Trace disabled for vhost \(call.vhost)")
    },
  ]
}

extension Call {
  /// Changes what is named, and leaves the rest.
  fileprivate func putVirtualHost(_ name: String, _ changes: [String: JSON]) async throws {
    try await expectVirtualHost(name)
    let known = try await ask(.get, "vhosts", name)
    var fields = changes
    for field in ["description", "tags", "default_queue_type"] where fields[field] == nil {
      fields[field] = known[field]
    }
    try await ask(.put, "vhosts", name, body: .object(fields))
  }
}
