/// `/api/overview`, `/api/nodes`, health checks, and what a cluster would have. Knows no queue's inside.

internal import AMQPWire
internal import BrokerCore
internal import BrokerServer
internal import Foundation
internal import Hummingbird
internal import LuaRuntime

struct NodeRoutes: Sendable {
  let desk: Desk
  let version: String

  var routes: [Route] { overview + health + cluster }

  private var overview: [Route] {
    [
      Route(.get, "/api/overview", for: .management) { call in
        Listing(call).response(try await Self.overview(desk, version))
      },
      Route(.get, "/api/nodes", for: .monitor) { call in try Listing(call).response([try await node()]) },
      Route(.get, "/api/nodes/:name", for: .monitor) { call in
        try await expectNode(call)
        return Listing(call).response(try await node())
      },
    ]
  }

  private var health: [Route] {
    func check(_ path: String, _ isWell: @escaping @Sendable (Call) async throws -> LuaValue?) -> Route {
      Route(.get, "/api/health/checks/\(path)", for: nil) { call in
        guard let problem = try await isWell(call) else { return .json(.table(["status": .text("ok")])) }
        return .json(problem, status: .serviceUnavailable)
      }
    }
    @Sendable func failed(_ reason: String, _ more: [String: LuaValue] = [:]) -> LuaValue {
      .table(["status": .text("failed"), "reason": .text(reason)].merging(more) { own, _ in own })
    }
    let alarms: @Sendable (Call) async throws -> LuaValue? = { _ in
      guard let alarm = try await desk.ask({ $0.alarm }) else { return nil }
      return .table([
        "status": .text("failed"), "reason": .text("There are alarms in effect in the cluster"),
        "alarms": .list([.table(["node": .text(""), "resource": .text("disk"), "reason": .text(alarm)])]),
      ])
    }
    // After stop_app there is no listener.
    let serves: @Sendable (Call) async throws -> LuaValue? = { _ in
      try await desk.server.listeners().isEmpty ? failed("the broker lets no client in") : nil
    }
    return [
      check("alarms", alarms), check("local-alarms", alarms),
      check("ready-to-serve-clients", serves), check("is-in-service", serves),
      check("port-listener/:port") { call in
        let ports = try await desk.server.listeners().map(\.port)
        guard let port = Int(call.names[0]) else { throw Refusal.badRequest("'\(call.names[0])' is no port") }
        return ports.contains(port)
          ? nil
          : failed(
            "No active listener",
            ["missing": .integer(Int64(port)), "ports": .list(ports.map { .integer(Int64($0)) })])
      },
      check("protocol-listener/:protocol") { call in
        let name = call.names[0].lowercased()
        let isAMQP = ["amqp", "amqp091", "amqp0.9.1"].contains(name)
        let letsIn = try await serves(call) == nil
        // Whoever asks has reached the one for HTTP.
        return name == "http" || isAMQP && letsIn
          ? nil
          : failed(
            "No active listener",
            ["missing": .text(call.names[0])])
      },
      Route(.get, "/api/aliveness-test/:vhost", for: .management) { call in
        let vhost = try await desk.vhost(call.names[0], call)
        try await aliveness(vhost, call)
        return .json(.table(["status": .text("ok")]))
      },
    ]
  }

  private var cluster: [Route] {
    [
      Route(.get, "/api/cluster-name", for: .management) { _ in
        .json(.table(["name": .text(try await desk.ask { $0.settings.nodeName })]))
      },
      Route(.get, "/api/extensions", for: .management) { _ in .json(.list([])) },
      Route(.get, "/api/global-parameters", for: .policymaker) { call in try Listing(call).response([]) },
      Route(.get, "/api/auth", for: nil) { _ in .json(.table(["oauth_enabled": .boolean(false)])) },
    ]
  }

  /// Publishes a message and takes it out again, in a queue of its own.
  private func aliveness(_ vhost: ByteString, _ call: Call) async throws {
    let name: ByteString = "aliveness-test"
    try await desk.require(
      [
        .init(.configure, .queue, vhost: vhost, name: name),
        .init(.write, .exchange, vhost: vhost, name: "amq.default"),
        .init(.read, .queue, vhost: vhost, name: name),
      ], call)
    try await desk.ask { broker in
      _ = try broker.virtualHost(vhost).declare(QueueDefinition(name: name))
    }
    _ = try await desk.publish(
      Array("test_message".utf8), BasicProperties(), to: "", key: name, in: vhost, by: call.login.identity)
    let got = try await desk.get(1, from: name, in: vhost, by: call.login.identity, .acknowledged)
    guard got.count == 1 else {
      throw Refusal(status: .serviceUnavailable, error: "failed", reason: "the message did not come back")
    }
  }

  // MARK: answers

  private static func overview(_ desk: Desk, _ version: String) async throws -> LuaValue {
    let queues = try await desk.gather { broker in
      broker.vhosts.values.flatMap(\.queues)
    } _: {
      [$0.readyCount, $0.unsettledCount, $0.consumerCount]
    }
    let channels = try await desk.server.channels()
    let connections = try await desk.server.connections().count
    let listeners = try await desk.server.listeners()
    let facts = try await desk.ask { broker in
      (
        node: broker.settings.nodeName,
        exchanges: broker.vhosts.values.reduce(0) { $0 + $1.exchanges.count },
        types: broker.exchangeTypeNames
      )
    }
    func sum(_ index: Int) -> Int64 { Int64(queues.reduce(0) { $0 + $1[index] }) }
    return .table([
      "management_version": .text("3.13.7"), "rabbitmq_version": .text("3.13.7"),
      "product_name": .text("RabbitMQ"), "product_version": .text("3.13.7"), "yutu_version": .text(version),
      "erlang_version": .text("26"), "erlang_full_version": .text("Yutu \(version), in Swift"),
      "cluster_name": .text(facts.node), "node": .text(facts.node), "rates_mode": .text("none"),
      "disable_stats": .boolean(false), "enable_queue_totals": .boolean(false),
      "object_totals": .table([
        "connections": .integer(Int64(connections)), "channels": .integer(Int64(channels.count)),
        "queues": .integer(Int64(queues.count)), "exchanges": .integer(Int64(facts.exchanges)),
        "consumers": .integer(sum(2)),
      ]),
      "queue_totals": .table([
        "messages": .integer(sum(0) + sum(1)), "messages_ready": .integer(sum(0)),
        "messages_unacknowledged": .integer(sum(1)),
      ]),
      "exchange_types": .list(
        facts.types.map {
          .table(["name": LuaValue(json: $0), "enabled": .boolean(true), "description": .text("")])
        }),
      "message_stats": .table([:]), "statistics_db_event_queue": .integer(0),
      "listeners": .list(
        listeners.map {
          .table([
            "node": .text(facts.node), "protocol": .text("amqp"), "ip_address": .text($0.address),
            "port": .integer(Int64($0.port)),
          ])
        }), "contexts": .list([]), "sample_retention_policies": .table([:]),
    ])
  }

  private func expectNode(_ call: Call) async throws {
    guard try await desk.ask({ $0.settings.nodeName }) == call.names[0] else { throw Refusal.notFound() }
  }

  private func node() async throws -> LuaValue {
    let facts = try await desk.ask { broker in (name: broker.settings.nodeName, alarm: broker.alarm) }
    var fields: [String: LuaValue] = [
      "name": .text(facts.name), "type": .text("disc"), "running": .boolean(true),
      "disk_free_alarm": .boolean(facts.alarm != nil),
      "os_pid": .text("\(ProcessInfo.processInfo.processIdentifier)"),
      "processors": .integer(Int64(ProcessInfo.processInfo.activeProcessorCount)), "partitions": .list([]),
      "being_drained": .boolean(false), "rates_mode": .text("none"), "enabled_plugins": .list([]),
    ]
    // What the system does not tell is left out.
    func add(_ name: String, _ number: Double?) { fields[name] = number.map { .integer(Int64($0)) } }
    add("mem_used", ProcessFigures.residentBytes())
    add("fd_used", ProcessFigures.openDescriptors())
    add("fd_total", ProcessFigures.mostDescriptors())
    add("uptime", ProcessFigures.startTime.map { max(0, Date().timeIntervalSince1970 - $0) * 1000 })
    return .table(fields)
  }
}
