/// Queues, exchanges, bindings, connections, channels and consumers.
extension Command {
  static let objects: [Command] = [
    Command(
      "list_queues", in: .objects, "[-p vhost] [column …]", words: 0...40, "Lists queues.",
      example: "list_queues name messages_ready messages_unacknowledged"
    ) { call in
      call.output.banner("Timeout: 60.0 seconds ...\nListing queues for vhost \(call.vhost) ...")
      let columns = call.columns(["name", "messages"])
      try Columns.check(columns, Columns.queue)
      call.output.table(columns, try await call.list("queues", call.vhost))
    },
    Command(
      "list_exchanges", in: .objects, "[-p vhost] [column …]", words: 0...20, "Lists exchanges.",
      example: "list_exchanges name type durable"
    ) { call in
      call.output.banner("Listing exchanges for vhost \(call.vhost) ...")
      let columns = call.columns(["name", "type"])
      try Columns.check(columns, Columns.exchange)
      call.output.table(columns, try await call.list("exchanges", call.vhost))
    },
    Command(
      "list_bindings", in: .objects, "[-p vhost] [column …]", words: 0...20, "Lists bindings.",
      example: "list_bindings source_name destination_name routing_key"
    ) { call in
      call.output.banner("Listing bindings for vhost \(call.vhost)...")
      let columns = call.columns(Columns.binding.filter { $0 != "vhost" })
      try Columns.check(columns, Columns.binding)
      let bindings = try await call.list("bindings", call.vhost).map { binding in
        JSON.object([
          "source_name": binding["source"] ?? .null, "source_kind": .text("exchange"),
          "destination_name": binding["destination"] ?? .null,
          "destination_kind": binding["destination_type"] ?? .null,
          "routing_key": binding["routing_key"] ?? .null, "arguments": binding["arguments"] ?? .null,
          "vhost": binding["vhost"] ?? .null,
        ])
      }
      call.output.table(columns, bindings)
    },
    Command(
      "list_connections", in: .objects, "[column …]", words: 0...40, "Lists connections.",
      example: "list_connections name user state channels"
    ) { call in
      call.output.banner("Listing connections ...")
      let columns = call.columns(["user", "peer_host", "peer_port", "state"])
      try Columns.check(columns, Columns.connection)
      call.output.table(
        columns, try await call.ask(.get, "connections").items.map { $0.adding("pid", $0["name"]) })
    },
    Command(
      "list_channels", in: .objects, "[column …]", words: 0...40, "Lists channels.",
      example: "list_channels connection messages_unacknowledged prefetch_count"
    ) { call in
      call.output.banner("Listing channels ...")
      let columns = call.columns(["pid", "user", "consumer_count", "messages_unacknowledged"])
      try Columns.check(columns, Columns.channel)
      call.output.table(
        columns,
        try await call.ask(.get, "channels").items.map {
          $0.adding("pid", $0["name"]).adding("connection", $0["connection_details"]?["name"])
        })
    },
    Command(
      "list_consumers", in: .objects, "[-p vhost] [column …]", words: 0...20, "Lists consumers.",
      example: "list_consumers queue_name consumer_tag prefetch_count"
    ) { call in
      call.output.banner("Listing consumers in vhost \(call.vhost) ...")
      let columns = call.columns(Columns.consumer.filter { $0 != "exclusive" })
      try Columns.check(columns, Columns.consumer)
      call.output.table(
        columns,
        try await call.list("consumers", call.vhost).map {
          $0.adding("queue_name", $0["queue"]?["name"]).adding("channel_pid", $0["channel_details"]?["name"])
        })
    },
    Command(
      "purge_queue", in: .objects, "[-p vhost] queue", words: 1...1, "Drops all messages that are ready.",
      example: "purge_queue orders"
    ) { call in
      call.output.banner("Purging queue '\(call.words[0])' in vhost '\(call.vhost)' ...")
      try await call.expectQueue(call.words[0], or: .unavailable, "not_found")
      try await call.ask(.delete, "queues", call.vhost, call.words[0], "contents")
    },
    Command(
      "delete_queue", in: .objects, "[-p vhost] queue [--if-empty|-e] [--if-unused|-u]", words: 1...1,
      "Takes a queue away, with its messages.", example: "delete_queue orders --if-unused"
    ) { call in
      let (name, options) = (call.words[0], call.options)
      call.output.banner(
        "Deleting queue '\(name)' on vhost '\(call.vhost)' "
          + (options.ifEmpty ? "if queue is empty " : "")
          + (options.ifEmpty && options.ifUnused ? "and " : "")
          + (options.ifUnused ? "if queue is unused " : "")
          + "...")
      try await call.expectQueue(name, or: .usage, "Queue not found")
      let ready = try await call.ask(.get, "queues", call.vhost, name)["messages_ready"]?.shown ?? "0"
      try await call.ask(
        .delete, "queues", call.vhost, name,
        query: "if-empty=\(options.ifEmpty)&if-unused=\(options.ifUnused)")
      call.output.write("Queue was successfully deleted with \(ready) ready messages")
    },
    Command(
      "close_connection", in: .objects, "connection reason", words: 2...2,
      "Closes a connection, by its name (list_connections name).",
      example: "close_connection '127.0.0.1:50000 -> 127.0.0.1:5672' maintenance"
    ) { call in
      call.output.banner("Closing connection \(call.words[0]), reason: \(call.words[1])...")
      try await call.ask(
        .delete, "connections", call.words[0], query: "reason=\(Broker.quoted(call.words[1]))")
    },
    Command(
      "close_all_connections", in: .objects, "[-p vhost | --global] [--limit n] reason", words: 1...1,
      "Closes the connections of a virtual host, or all.",
      example: "close_all_connections --global maintenance"
    ) { call in
      let (reason, options) = (call.words[0], call.options)
      call.output.banner(
        options.isGlobal
          ? "Closing all connections to node (across all vhosts), reason: \(reason)..."
          : "Closing \(options.limit.map { "\($0)" } ?? "all") connections in vhost \(call.vhost), reason: \(reason)..."
      )
      let all =
        options.isGlobal
        ? try await call.ask(.get, "connections")
        : try await call.ask(.get, "vhosts", call.vhost, "connections")
      let names = all.items.compactMap { $0["name"]?.text }
      for name in names.prefix(options.limit ?? .max) {
        try await call.ask(.delete, "connections", name, query: "reason=\(Broker.quoted(reason))")
      }
      call.output.write("Closed \(min(names.count, options.limit ?? .max)) connections")
    },
    Command(
      "close_all_user_connections", in: .objects, "username reason", words: 2...2,
      "Closes a user's connections.", example: "close_all_user_connections yugo maintenance"
    ) { call in
      call.output.banner("Closing connections of user \(call.words[0]), reason: \(call.words[1])...")
      try await call.ask(
        .delete, "connections", "username", call.words[0], query: "reason=\(Broker.quoted(call.words[1]))")
    },
  ]
}

/// What may be asked for of a thing, by rabbitmqctl's names.
enum Columns {
  static func check(_ asked: [String], _ known: [String]) throws {
    guard let unknown = asked.first(where: { !known.contains($0) }) else { return }
    throw Failure(
      .usage, "Info key `\(unknown)` not found, expected one of \(known.sorted().joined(separator: ", "))")
  }

  static let queue = [
    "name", "durable", "auto_delete", "exclusive", "arguments", "policy", "operator_policy",
    "effective_policy_definition", "messages", "messages_ready", "messages_unacknowledged", "message_bytes",
    "message_bytes_ready", "consumers", "state", "type", "vhost", "node",
  ]
  static let exchange = [
    "name", "type", "durable", "auto_delete", "internal", "arguments", "policy", "vhost",
  ]
  static let binding = [
    "source_name", "source_kind", "destination_name", "destination_kind", "routing_key", "arguments", "vhost",
  ]
  static let connection = [
    "pid", "name", "user", "vhost", "peer_host", "peer_port", "host", "port", "state", "channels", "protocol",
    "auth_mechanism", "ssl", "timeout", "frame_max", "channel_max", "client_properties", "connected_at",
    "recv_oct", "send_oct", "user_provided_name",
  ]
  static let channel = [
    "pid", "connection", "name", "number", "user", "vhost", "transactional", "confirm", "consumer_count",
    "messages_unacknowledged", "messages_uncommitted", "acks_uncommitted", "messages_unconfirmed",
    "prefetch_count", "global_prefetch_count", "state",
  ]
  static let consumer = [
    "queue_name", "channel_pid", "consumer_tag", "ack_required", "prefetch_count", "active",
    "activity_status",
    "arguments", "exclusive",
  ]
}

extension JSON {
  fileprivate func adding(_ name: String, _ value: JSON?) -> JSON {
    guard case .object(var fields) = self else { return self }
    fields[name] = value ?? .null
    return .object(fields)
  }
}

extension Call {
  fileprivate func expectQueue(_ name: String, or missing: Failure.Code, _ text: String) async throws {
    try await expectVirtualHost()
    do { try await ask(.get, "queues", vhost, name) } catch let refused as Broker.Refused
      where refused.status == 404
    { throw Failure(missing, text) }
  }
}
