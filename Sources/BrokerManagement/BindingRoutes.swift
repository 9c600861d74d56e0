/// `/api/bindings`, and the bindings of an exchange or a queue. Knows no exchange's inside.

internal import AMQPWire
internal import BrokerCore
internal import Foundation
internal import Hummingbird
internal import LuaRuntime

struct BindingRoutes: Sendable {
  let desk: Desk

  var routes: [Route] {
    [
      Route(.get, "/api/bindings", for: .management) { call in
        let visible = try await desk.visible(call)
        return try Listing(call).response(try await reports { visible.contains($0.vhost) }.map(\.json))
      },
      Route(.get, "/api/bindings/:vhost", for: .management) { call in
        let vhost = try await desk.vhost(call.names[0], call)
        return try Listing(call).response(try await reports { $0.vhost == vhost }.map(\.json))
      },
      Route(.get, "/api/exchanges/:vhost/:name/bindings/source", for: .management) { call in
        try await list(call) { $0.source == $1 }
      },
      Route(.get, "/api/exchanges/:vhost/:name/bindings/destination", for: .management) { call in
        try await list(call) { !$0.toQueue && $0.destination == $1 }
      },
      Route(.get, "/api/queues/:vhost/:name/bindings", for: .management) { call in
        try await list(call) { $0.toQueue && $0.destination == $1 }
      },
    ]
      + ["q", "e"].flatMap { kind in
        [
          Route(.get, "/api/bindings/:vhost/e/:source/\(kind)/:destination", for: .management) { call in
            let ends = try await ends(call, toQueue: kind == "q")
            return try Listing(call).response(try await reports { ends.match($0) }.map(\.json))
          },
          Route(.post, "/api/bindings/:vhost/e/:source/\(kind)/:destination", for: .management) { call in
            try await bind(call, try await ends(call, toQueue: kind == "q"))
          },
          Route(.get, "/api/bindings/:vhost/e/:source/\(kind)/:destination/:properties", for: .management) {
            call in
            let report = try await binding(call, try await ends(call, toQueue: kind == "q"))
            return Listing(call).response(report.json)
          },
          Route(.delete, "/api/bindings/:vhost/e/:source/\(kind)/:destination/:properties", for: .management)
          {
            call in
            let ends = try await ends(call, toQueue: kind == "q")
            try await unbind(try await binding(call, ends), ends, call)
            return .done
          },
        ]
      }
  }

  private func list(
    _ call: Call, _ isWanted: @escaping @Sendable (BindingReport, ByteString) -> Bool
  ) async throws -> Response {
    let vhost = try await desk.vhost(call.names[0], call)
    let name = ExchangeRoutes.exchange(call.names[1])
    return try Listing(call).response(
      try await reports { $0.vhost == vhost && isWanted($0, name) }.map(\.json))
  }

  /// Each queue is bound to the default exchange, too: these bindings are told, and not made.
  private func reports(_ isWanted: @escaping @Sendable (BindingReport) -> Bool) async throws
    -> [BindingReport]
  {
    let implicit = try await desk.gather { broker in
      broker.vhosts.values.sorted { $0.name < $1.name }.flatMap(\.queues)
    } _: { (queue: Queue) -> BindingReport? in
      let report = BindingReport(of: queue)
      return queue.isDeleted || !isWanted(report) ? nil : report
    }
    let made = try await desk.gather { broker in
      broker.vhosts.values.sorted { $0.name < $1.name }.flatMap { vhost in
        vhost.exchanges.values.sorted { $0.name < $1.name }.flatMap(\.orderedBindings)
      }
    } _: { (binding: Binding) -> BindingReport? in
      let report = BindingReport(binding)
      return isWanted(report) ? report : nil
    }
    return implicit.sorted { ($0.vhost, $0.destination) < ($1.vhost, $1.destination) } + made
  }

  private struct Ends: Sendable {
    let vhost: ByteString
    let source: ByteString
    let destination: ByteString
    let toQueue: Bool

    func match(_ report: BindingReport) -> Bool {
      report.vhost == vhost && report.source == source && report.destination == destination
        && report.toQueue == toQueue
    }
  }

  private func ends(_ call: Call, toQueue: Bool) async throws -> Ends {
    let vhost = try await desk.vhost(call.names[0], call)
    return Ends(
      vhost: vhost, source: ExchangeRoutes.exchange(call.names[1]),
      destination: toQueue ? ByteString(call.names[2]) : ExchangeRoutes.exchange(call.names[2]),
      toQueue: toQueue)
  }

  private func binding(_ call: Call, _ ends: Ends) async throws -> BindingReport {
    let key = call.names[3]
    guard let found = try await reports({ ends.match($0) && $0.propertiesKey == key }).first else {
      throw Refusal.notFound()
    }
    return found
  }

  private static func destination(_ ends: Ends, in vhost: VirtualHost) throws -> Binding.Destination {
    ends.toQueue
      ? .queue(try vhost.queue(ends.destination)) : .exchange(try vhost.exchange(ends.destination))
  }

  private func bind(_ call: Call, _ ends: Ends) async throws -> Response {
    let fields = try Fields(call.body)
    let key = ByteString(try fields.name("routing_key") ?? "")
    let arguments = try fields.arguments()
    try await require(ends, key, call)
    let properties = BindingReport.propertiesKey(key, arguments)
    try await desk.ask { broker in
      let vhost = try broker.virtualHost(ends.vhost)
      try vhost.bind(
        source: try vhost.exchange(ends.source), to: try Self.destination(ends, in: vhost), key: key,
        arguments: arguments)
    }
    let place = properties.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? properties
    return Response(
      status: .created,
      headers: [
        .location:
          "\(ends.destination.text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? "")/\(place)"
      ])
  }

  private func unbind(_ report: BindingReport, _ ends: Ends, _ call: Call) async throws {
    try await require(ends, report.key, call)
    try await desk.ask { broker in
      let vhost = try broker.virtualHost(ends.vhost)
      vhost.unbind(
        source: try vhost.exchange(ends.source), from: try Self.destination(ends, in: vhost), key: report.key,
        arguments: report.arguments)
    }
  }

  private func require(_ ends: Ends, _ key: ByteString, _ call: Call) async throws {
    guard !ends.source.isEmpty, ends.toQueue || !ends.destination.isEmpty else {
      throw ProtocolError(.accessRefused, "operation not permitted on the default exchange")
    }
    var requests = [
      BrokerCore.AccessRequest(
        .write, ends.toQueue ? .queue : .exchange, vhost: ends.vhost, name: ends.destination),
      BrokerCore.AccessRequest(.read, .exchange, vhost: ends.vhost, name: ends.source),
    ]
    let hasTopics = try await desk.ask { broker in
      try broker.virtualHost(ends.vhost).exchanges[ends.source]?.typeName == "topic"
    }
    if hasTopics {
      requests.append(.init(.read, .topic, vhost: ends.vhost, name: ends.source, routingKey: key))
    }
    try await desk.require(requests, call)
  }
}

/// A binding as it was when it was asked.
struct BindingReport: Sendable {
  let vhost: ByteString
  let source: ByteString
  let destination: ByteString
  let toQueue: Bool
  let key: ByteString
  let arguments: FieldTable

  init(_ binding: Binding) {
    vhost = binding.source.vhost.name
    source = binding.source.name
    destination = binding.destination.name
    if case .queue = binding.destination { toQueue = true } else { toQueue = false }
    key = binding.key
    arguments = binding.arguments
  }

  /// To the default exchange.
  init(of queue: Queue) {
    vhost = queue.vhost.name
    source = ""
    destination = queue.name
    toQueue = true
    key = queue.name
    arguments = [:]
  }

  var propertiesKey: String { Self.propertiesKey(key, arguments) }

  /// What tells a binding from others between the same ends: its key, and something of its arguments.
  static func propertiesKey(_ key: ByteString, _ arguments: FieldTable) -> String {
    guard !key.isEmpty || !arguments.isEmpty else { return "~" }
    var plain = CharacterSet.alphanumerics.intersection(CharacterSet(charactersIn: "\u{0}"..."\u{7F}"))
    plain.insert(charactersIn: "-_.")
    let quoted = key.text.addingPercentEncoding(withAllowedCharacters: plain) ?? key.text
    guard !arguments.isEmpty else { return quoted }
    var octets = FieldWriter()
    octets.put(table: arguments)
    // FNV-1a.
    let hash = octets.bytes.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    return "\(quoted)~\(String(hash, radix: 36))"
  }

  var json: LuaValue {
    var fields = definition
    fields["vhost"] = LuaValue(json: vhost)
    fields["properties_key"] = .text(propertiesKey)
    return .table(fields)
  }

  /// As a definitions file has it.
  var definition: [String: LuaValue] {
    [
      "source": LuaValue(json: source), "destination": LuaValue(json: destination),
      "destination_type": .text(toQueue ? "queue" : "exchange"), "routing_key": LuaValue(json: key),
      "arguments": LuaValue(json: arguments),
    ]
  }
}
