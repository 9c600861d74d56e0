/// `/api/plugins`: what the plugins are and do, reloads, roll backs, and what would become of a message.
/// Knows no plugin but what `PluginControl` tells.

internal import BrokerScripting
internal import Hummingbird
internal import LuaRuntime
internal import NIOCore

struct PluginRoutes: Sendable {
  let control: any PluginControl

  var routes: [Route] {
    [
      Route(.get, "/api/plugins") { _ in
        .json(.list(try await reports().map(Self.json)))
      },
      Route(.get, "/api/plugins/generations") { _ in
        .json(.list(try await control.generations().map(Self.json)))
      },
      Route(.post, "/api/plugins/reload") { _ in .json(Self.json(try await control.reload())) },
      Route(.post, "/api/plugins/rollback") { call in .json(try await rollBack(call)) },
      Route(.post, "/api/plugins/explain") { call in .json(try await explain(call)) },
      Route(.get, "/api/plugins/:name") { call in
        guard let report = try await reports().first(where: { $0.name == call.names[0] }) else {
          throw Refusal.notFound("no plugin '\(call.names[0])'")
        }
        return .json(Self.json(report))
      },
    ]
  }

  private func reports() async throws -> [PluginReport] {
    try await control.reports().sorted { $0.name < $1.name }
  }

  private func rollBack(_ call: Call) async throws -> LuaValue {
    let fields = try Fields(call.body)
    try fields.refuseUnknown(except: ["generation"])
    let generation = try fields.integer("generation", in: 1...Int64(Int32.max))
    guard let generation else { throw fields.missing("generation", "the number of a generation") }
    return Self.json(try await control.rollBack(to: Int(generation)))
  }

  private func explain(_ call: Call) async throws -> LuaValue {
    let fields = try Fields(call.body)
    try fields.refuseUnknown(except: [
      "vhost", "exchange", "routing_key", "properties", "headers", "payload", "payload_encoding", "user",
    ])
    guard let exchange = try fields.name("exchange") else {
      throw fields.missing("exchange", "the name of an exchange")
    }
    var request = ExplainRequest(exchange: exchange, routingKey: try fields.name("routing_key") ?? "")
    request.vhost = try fields.name("vhost") ?? request.vhost
    request.user = try fields.name("user") ?? request.user
    request.properties = try Properties.checked(try fields.table("properties") ?? [:])
    request.headers = try fields.table("headers") ?? [:]
    request.body = try fields.payload()
    if let long = request.headers.keys.first(where: { $0.utf8.count > ManagementBounds.nameOctets }) {
      throw Refusal.badRequest(
        "headers: the name '\(long.prefix(40))…' has \(long.utf8.count) octets, expected at most "
          + "\(ManagementBounds.nameOctets)")
    }
    return Self.json(try await control.explain(request))
  }

  // MARK: answers

  private static func json(_ report: PluginReport) -> LuaValue {
    .table([
      "name": .text(report.name), "about": .text(report.about), "path": .text(report.path),
      "in_force": .boolean(report.isInForce), "enabled": .boolean(report.isEnabled),
      "hooks": .list(report.hooks.map { .text($0) }),
      "problem": report.problem.map { .text($0) } ?? .null,
      "memory_bytes": .integer(Int64(report.memoryBytes)), "settings": .table(report.settings),
      "usage": .list(report.usage.sorted { $0.hook < $1.hook }.map(json)),
    ])
  }

  private static func json(_ usage: HookUsage) -> LuaValue {
    let mean = usage.calls == 0 ? 0 : Double(usage.totalNanoseconds) / Double(usage.calls) / 1000
    return .table([
      "hook": .text(usage.hook), "calls": .integer(Int64(clamping: usage.calls)),
      "errors": .integer(Int64(clamping: usage.errors)),
      "limit_hits": .integer(Int64(clamping: usage.limitHits)),
      "total_microseconds": .number(Double(usage.totalNanoseconds) / 1000),
      "mean_microseconds": .number(mean),
      "p99_microseconds": usage.bound(ofShare: 0.99).map { .number(Double($0) / 1000) } ?? .null,
    ])
  }

  private static func json(_ report: GenerationReport) -> LuaValue {
    .table([
      "number": .integer(Int64(report.number)), "time": .number(report.time), "cause": .text(report.cause),
      "current": .boolean(report.isCurrent), "plugins": .table(report.plugins.mapValues { .text($0) }),
    ])
  }

  private static func json(_ report: ReloadReport) -> LuaValue {
    .table([
      "generation": .integer(Int64(report.generation)), "changed": .list(report.changed.map { .text($0) }),
      "removed": .list(report.removed.map { .text($0) }),
      "problems": .table(report.problems.mapValues { .text($0) }),
    ])
  }

  private static func json(_ report: ExplainReport) -> LuaValue {
    .table([
      "outcome": .text(report.outcome), "queues": .list(report.queues.map { .text($0) }),
      "steps": .list(
        report.steps.map {
          .table(["kind": .text($0.kind), "name": .text($0.name), "text": .text($0.text)])
        }),
    ])
  }
}

extension HookUsage {
  /// The least bound, in nanoseconds, that this share of the calls kept; nil without calls, and beyond the
  /// last.
  func bound(ofShare share: Double) -> UInt64? {
    let all = counts.reduce(0, +)
    guard all > 0 else { return nil }
    var sum: UInt64 = 0
    for (count, bound) in zip(counts, Self.bounds) {
      sum += count
      if Double(sum) >= Double(all) * share { return bound }
    }
    return nil
  }
}
