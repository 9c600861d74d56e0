/// `/api/connections`, `/api/channels` and `/api/consumers`. Knows no socket.

internal import AMQPWire
internal import BrokerCore
internal import BrokerServer
internal import Hummingbird
internal import LuaRuntime

struct ConnectionRoutes: Sendable {
  let desk: Desk

  var routes: [Route] {
    [
      Route(.get, "/api/connections", for: .management) { call in
        try Listing(call).response(try await connections(call).map(Self.json))
      },
      Route(.get, "/api/vhosts/:vhost/connections", for: .management) { call in
        let vhost = try await desk.vhost(call.names[0], call)
        return try Listing(call).response(
          try await connections(call).filter { $0.vhost == vhost }.map(Self.json))
      },
      Route(.get, "/api/connections/username/:user", for: .management) { call in
        try Listing(call).response(
          try await connections(call).filter { $0.user == call.names[0] }.map(Self.json))
      },
      Route(.delete, "/api/connections/username/:user", for: .management) { call in
        let mine = Set(try await connections(call).map(\.name))
        _ = try await desk.server.closeConnections(Self.reason(call)) {
          mine.contains($0.name) && $0.user == call.names[0]
        }
        return .done
      },
      Route(.get, "/api/connections/:name", for: .management) { call in
        Listing(call).response(Self.json(try await connection(call)))
      },
      Route(.delete, "/api/connections/:name", for: .management) { call in
        let name = try await connection(call).name
        _ = try await desk.server.closeConnections(Self.reason(call)) { $0.name == name }
        return .done
      },
      Route(.get, "/api/connections/:name/channels", for: .management) { call in
        let name = try await connection(call).name
        return try Listing(call).response(
          try await channels(call).filter { $0.connection == name }.map(json))
      },
      Route(.get, "/api/channels", for: .management) { call in
        try Listing(call).response(try await channels(call).map(json))
      },
      Route(.get, "/api/vhosts/:vhost/channels", for: .management) { call in
        let vhost = try await desk.vhost(call.names[0], call)
        return try Listing(call).response(try await channels(call).filter { $0.vhost == vhost }.map(json))
      },
      Route(.get, "/api/channels/:name", for: .management) { call in
        guard let channel = try await channels(call).first(where: { $0.name == call.names[0] }) else {
          throw Refusal.notFound()
        }
        guard case .table(var fields) = json(channel) else { throw Refusal.notFound() }
        fields["consumer_details"] = .list(channel.consumers.map(json))
        return Listing(call).response(.table(fields))
      },
      Route(.get, "/api/consumers", for: .management) { call in
        try Listing(call).response(try await channels(call).flatMap(\.consumers).map(json))
      },
      Route(.get, "/api/consumers/:vhost", for: .management) { call in
        let vhost = try await desk.vhost(call.names[0], call)
        return try Listing(call).response(
          try await channels(call).filter { $0.vhost == vhost }.flatMap(\.consumers).map(json))
      },
    ]
  }

  private static func reason(_ call: Call) -> String {
    call.query["reason"] ?? "Closed via management plugin"
  }

  /// Its own for a user with no tag to see more.
  private func isSeen(_ user: String, _ call: Call) -> Bool {
    user == call.login.name || Role.monitor.isHad(by: call.login.tags)
  }

  private func connections(_ call: Call) async throws -> [ConnectionReport] {
    try await desk.server.connections().filter { isSeen($0.user, call) }
  }

  private func channels(_ call: Call) async throws -> [ChannelReport] {
    try await desk.server.channels().filter { isSeen($0.user, call) }
  }

  private func connection(_ call: Call) async throws -> ConnectionReport {
    guard let found = try await connections(call).first(where: { $0.name == call.names[0] }) else {
      throw Refusal.notFound()
    }
    return found
  }

  // MARK: answers

  private static func json(_ report: ConnectionReport) -> LuaValue {
    var fields: [String: LuaValue] = [
      "name": .text(report.name), "type": .text("network"), "protocol": .text("AMQP 0-9-1"),
      "vhost": LuaValue(json: report.vhost), "user": .text(report.user),
      "user_who_performed_action": .text(report.user), "peer_host": .text(report.peer.address),
      "peer_port": .integer(Int64(report.peer.port)),
      "state": .text(report.isBlocked ? "blocked" : "running"),
      "channels": .integer(Int64(report.channels)), "channel_max": .integer(Int64(report.channelMaximum)),
      "frame_max": .integer(Int64(report.frameMaximum)), "timeout": .integer(Int64(report.heartbeatSeconds)),
      "auth_mechanism": LuaValue(json: report.mechanism), "ssl": .boolean(false),
      "client_properties": LuaValue(json: report.clientProperties),
      "connected_at": .integer(Int64(clamping: report.connectedAt)),
      "recv_oct": .integer(Int64(clamping: report.receivedOctets)),
      "send_oct": .integer(Int64(clamping: report.sentOctets)),
    ]
    if let local = report.local {
      fields["host"] = .text(local.address)
      fields["port"] = .integer(Int64(local.port))
    }
    if let own = report.clientProperties["connection_name"]?.string {
      fields["user_provided_name"] = LuaValue(json: own)
    }
    return .table(fields)
  }

  private func details(_ connection: String, _ peer: PeerAddress) -> LuaValue {
    .table([
      "name": .text(connection), "peer_host": .text(peer.address), "peer_port": .integer(Int64(peer.port)),
    ])
  }

  private func json(_ report: ChannelReport) -> LuaValue {
    .table([
      "name": .text(report.name), "number": .integer(Int64(report.number)),
      "vhost": LuaValue(json: report.vhost), "user": .text(report.user),
      "user_who_performed_action": .text(report.user), "state": .text("running"),
      "connection_details": details(report.connection, report.peer),
      "consumer_count": .integer(Int64(report.consumers.count)),
      "messages_unacknowledged": .integer(Int64(report.unacknowledged)),
      "messages_unconfirmed": .integer(Int64(report.unconfirmed)),
      "messages_uncommitted": .integer(Int64(report.uncommitted)),
      "acks_uncommitted": .integer(Int64(report.uncommittedAcks)),
      "prefetch_count": .integer(Int64(report.prefetch)),
      "global_prefetch_count": .integer(Int64(report.globalPrefetch)),
      "confirm": .boolean(report.isConfirming), "transactional": .boolean(report.isTransactional),
    ])
  }

  private func json(_ report: ConsumerReport) -> LuaValue {
    .table([
      "consumer_tag": LuaValue(json: report.tag), "ack_required": .boolean(report.isAcknowledging),
      "exclusive": .boolean(report.isExclusive), "prefetch_count": .integer(Int64(report.prefetch)),
      "arguments": LuaValue(json: report.arguments), "active": .boolean(true),
      "activity_status": .text("up"),
      "queue": .table(["name": LuaValue(json: report.queue), "vhost": LuaValue(json: report.vhost)]),
      "channel_details": .table([
        "name": .text(report.channel), "number": .integer(Int64(report.number)), "user": .text(report.user),
        "connection_name": .text(report.connection), "peer_host": .text(report.peer.address),
        "peer_port": .integer(Int64(report.peer.port)),
      ]),
    ])
  }
}
