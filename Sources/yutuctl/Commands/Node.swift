import Foundation

/// The node: whether it runs, what it is, and its end.
extension Command {
  static let node: [Command] = [
    Command("status", in: .node, words: 0...0, "Says what the broker is and holds.", example: "status") {
      call in
      let overview = try await call.ask(.get, "overview")
      let node = try await call.ask(.get, "nodes").items.first ?? .null
      call.output.banner("Status of node \(overview["node"]?.shown ?? "") ...")
      let uptime = Int(node["uptime"]?.shown ?? "0") ?? 0
      if call.output.format == .json {
        return call.output.write(JSON.object(["overview": overview, "node": node]).compact)
      }
      func total(_ name: String) -> String { overview["object_totals"]?[name]?.shown ?? "0" }
      let listeners = (overview["listeners"]?.items ?? []).map {
        "Interface: \($0["ip_address"]?.shown ?? ""), port: \($0["port"]?.shown ?? ""), protocol: "
          + "\($0["protocol"]?.shown ?? ""), purpose: AMQP 0-9-1"
      }
      call.output.write(
        """
        Runtime

        OS PID: \(node["os_pid"]?.shown ?? "")
        Uptime (seconds): \(uptime / 1000)
        RabbitMQ version: \(overview["rabbitmq_version"]?.shown ?? "")
        Yutu version: \(overview["yutu_version"]?.shown ?? "")
        Node name: \(overview["node"]?.shown ?? "")

        Memory

        Total memory used: \(node["mem_used"]?.shown ?? "") bytes

        File Descriptors

        Total: \(node["fd_used"]?.shown ?? ""), limit: \(node["fd_total"]?.shown ?? "")

        Alarms

        \(node["disk_free_alarm"] == .flag(true) ? "Free disk space alarm" : "(none)")

        Totals

        Connection count: \(total("connections"))
        Queue count: \(total("queues"))
        Channel count: \(total("channels"))

        Listeners

        \(listeners.joined(separator: "\n"))
        """)
    },
    Command("ping", in: .node, words: 0...0, "Says whether the broker answers.", example: "ping") { call in
      let node = try await call.ask(.get, "overview")["node"]?.shown ?? ""
      call.output.banner(
        "Will ping \(node). This only checks if the OS process is running and registered with epmd. Timeout: "
          + "60000 ms.")
      call.output.write("Ping succeeded")
    },
    Command(
      "check_running", in: .node, words: 0...0, "Says whether the broker serves clients.",
      example: "check_running"
    ) { call in
      let overview = try await call.ask(.get, "overview")
      let node = overview["node"]?.shown ?? ""
      call.output.banner("Checking if RabbitMQ is running on node \(node) ...")
      guard !(overview["listeners"]?.items ?? []).isEmpty else {
        throw Failure(.unavailable, "RabbitMQ on node \(node) is not running or has not fully booted yet")
      }
      call.output.write("RabbitMQ on node \(node) is fully booted and running")
    },
    Command(
      "check_local_alarms", in: .node, words: 0...0, "Says whether publishers are blocked.",
      example: "check_local_alarms"
    ) { call in
      do { try await call.ask(.get, "health", "checks", "local-alarms") } catch let refused as Broker.Refused
      {
        throw Failure(.unavailable, refused.reason)
      }
      call.output.write("Node reported no local alarms")
    },
    Command(
      "await_startup", in: .node, words: 0...0, "Waits until the broker serves clients, a minute at most.",
      example: "await_startup"
    ) { call in
      for attempt in 0...600 {
        do {
          let listeners = try await call.ask(.get, "overview")["listeners"]?.items ?? []
          if !listeners.isEmpty { return }
        } catch let failure as Failure where failure.code == .unavailable && attempt < 600 {}
        try await Task.sleep(for: .milliseconds(100))
      }
      throw Failure(.unavailable, "the broker did not start in a minute")
    },
    Command(
      "environment", in: .node, words: 0...0, "Shows the configuration in force.", example: "environment"
    ) { call in
      let node = try await call.ask(.get, "overview")["node"]?.shown ?? ""
      call.output.banner("Application environment of node \(node) ...")
      let values = try await call.ask(.get, "node", "environment")
      guard case .object(let fields) = values else { return }
      call.output.record(fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    },
    Command(
      "stop", in: .node, "[pidfile]", words: 0...1, "Ends the broker in order.", example: "stop"
    ) { call in
      let node = try await call.ask(.get, "overview")["node"]?.shown ?? ""
      call.output.banner("Stopping and halting node \(node) ...")
      try await call.ask(.post, "node", "stop")
    },
    Command(
      "stop_app", in: .node, words: 0...0, "Closes all connections, and lets nobody in.", example: "stop_app"
    ) { call in
      let node = try await call.ask(.get, "overview")["node"]?.shown ?? ""
      call.output.banner("Stopping rabbit application on node \(node) ...")
      try await call.ask(.post, "node", "app", "stop")
    },
    Command(
      "start_app", in: .node, words: 0...0, "Lets clients in again.", example: "start_app"
    ) { call in
      let node = try await call.ask(.get, "overview")["node"]?.shown ?? ""
      call.output.banner("Starting node \(node) ...")
      try await call.ask(.post, "node", "app", "start")
    },
    Command(
      "reset", in: .node, words: 0...0,
      "Takes everything away: users, virtual hosts, messages. After stop_app.", example: "reset"
    ) { call in
      let node = try await call.ask(.get, "overview")["node"]?.shown ?? ""
      call.output.banner("Resetting node \(node) ...")
      try await call.ask(.post, "node", "reset")
    },
    Command("version", in: .node, words: 0...0, "Shows the version.", example: "version") { call in
      call.output.write(try await call.ask(.get, "overview")["yutu_version"]?.shown ?? "")
    },
  ]
}
