/// `/api/definitions`: all that an operator and clients have made, as one file, in RabbitMQ's form
/// (https://www.rabbitmq.com/docs/definitions). Knows no message.

internal import AMQPWire
internal import BrokerCore
package import BrokerServer
internal import Hummingbird
internal import LuaRuntime
internal import NIOCore

struct DefinitionRoutes: Sendable {
  let desk: Desk

  var routes: [Route] {
    [
      Route(.get, "/api/definitions") { call in .json(try await exported(only: nil)) },
      Route(.post, "/api/definitions") { call in
        try await DefinitionsFile(try Fields(call.body)).load(into: desk, only: nil)
        return .done
      },
      Route(.get, "/api/definitions/:vhost") { call in
        .json(try await exported(only: try await desk.vhost(call.names[0], call)))
      },
      Route(.post, "/api/definitions/:vhost") { call in
        let vhost = try await desk.vhost(call.names[0], call)
        try await DefinitionsFile(try Fields(call.body)).load(into: desk, only: vhost)
        return .done
      },
    ]
  }

  /// - Parameter vhost: what is in it, without its name; nil: all, with the users
  private func exported(only vhost: ByteString?) async throws -> LuaValue {
    func isWanted(_ name: ByteString) -> Bool { vhost == nil || vhost == name }
    func told(_ own: [String: LuaValue], _ name: ByteString) -> LuaValue {
      var fields = own
      if vhost == nil { fields["vhost"] = LuaValue(json: name) }
      return .table(fields)
    }
    let queues = try await desk.gather { broker in
      broker.vhosts.values.flatMap(\.queues)
    } _: { (queue: Queue) -> QueueReport? in
      queue.durable && queue.owner == nil ? QueueReport(queue) : nil
    }
    let exchanges = try await desk.gather { broker in
      broker.vhosts.values.flatMap(\.exchanges.values)
    } _: { (exchange: Exchange) -> ExchangeReport? in
      exchange.durable && !exchange.name.isEmpty && !exchange.name.hasPrefix("amq.")
        ? ExchangeReport(exchange) : nil
    }
    let bindings = try await desk.gather { broker in
      broker.vhosts.values.flatMap { $0.exchanges.values.flatMap(\.orderedBindings) }
    } _: { (binding: Binding) -> BindingReport? in
      binding.isDurable ? BindingReport(binding) : nil
    }
    var fields: [String: LuaValue] = [
      "rabbit_version": .text("3.13.7"), "rabbitmq_version": .text("3.13.7"),
      "product_name": .text("RabbitMQ"),
      "product_version": .text("3.13.7"),
      "rabbitmq_definition_format": .text(vhost == nil ? "cluster" : "single_virtual_host"),
      "queues": .list(
        queues.filter { isWanted($0.vhost) }.sorted { ($0.vhost, $0.name) < ($1.vhost, $1.name) }.map {
          told($0.definition.filter { $0.key != "type" }, $0.vhost)
        }),
      "exchanges": .list(
        exchanges.filter { isWanted($0.vhost) }.sorted { ($0.vhost, $0.name) < ($1.vhost, $1.name) }.map {
          told($0.definition, $0.vhost)
        }),
      "bindings": .list(bindings.filter { isWanted($0.vhost) }.map { told($0.definition, $0.vhost) }),
    ]
    let rest = try await desk.ask { broker in
      let vhosts = broker.vhosts.values.sorted { $0.name < $1.name }
      return (
        vhosts.map { ($0.name, $0.definition, $0.limits) },
        Dictionary(
          uniqueKeysWithValues: Policy.Kind.allCases.map { kind in
            (kind, vhosts.flatMap { vhost in vhost.policies.all(kind).map { (vhost.name, $0) } })
          }), broker.users.all
      )
    }
    let (vhosts, policies, users) = rest
    fields["policies"] = .list(
      (policies[.user] ?? []).filter { isWanted($0.0) }.map {
        PolicyRoutes.json($0.1, vhost == nil ? $0.0 : nil)
      })
    // RabbitMQ has these as parameters of their own kinds.
    fields["parameters"] = .list(
      vhosts.filter { isWanted($0.0) }.compactMap { name, _, limits in
        let value = VirtualHostRoutes.limits(limits)
        guard case .table(let own) = value, !own.isEmpty else { return nil }
        return told(
          ["component": .text("vhost-limits"), "name": .text("limits"), "value": value], name)
      }
        + (policies[.operator] ?? []).filter { isWanted($0.0) }.map { name, policy in
          guard case .table(var value) = PolicyRoutes.json(policy, nil) else { return .null }
          value["name"] = nil
          return told(
            [
              "component": .text("operator_policy"), "name": LuaValue(json: policy.name),
              "value": .table(value),
            ],
            name)
        })
    guard vhost == nil else { return .table(fields) }
    fields["vhosts"] = .list(vhosts.map { name, definition, _ in Self.json(name, definition) })
    fields["users"] = .list(users.map(UserRoutes.json))
    fields["permissions"] = .list(users.flatMap { PermissionRoutes.permissions(of: $0) })
    fields["topic_permissions"] = .list(users.flatMap { PermissionRoutes.topicPermissions(of: $0) })
    fields["global_parameters"] = .list([])
    return .table(fields)
  }

  private static func json(_ name: ByteString, _ definition: VirtualHostDefinition) -> LuaValue {
    var more: [String: LuaValue] = [
      "description": .text(definition.description), "tags": .list(definition.tags.map { .text($0) }),
    ]
    if let type = definition.defaultQueueType { more["default_queue_type"] = LuaValue(json: type) }
    var fields: [String: LuaValue] = more
    fields["name"] = LuaValue(json: name)
    fields["metadata"] = .table(more)
    return .table(fields)
  }
}

extension Management {
  /// - Throws: `DefinitionsError`
  package static func load(definitions octets: [UInt8], into server: BrokerServer.Server) async throws {
    do {
      try await DefinitionsFile(try Fields(ByteBuffer(bytes: octets))).load(
        into: Desk(server: server), only: nil)
    } catch let refusal as Refusal {
      throw DefinitionsError(refusal.reason)
    } catch let refusal as BrokerCore.Refusal {
      throw DefinitionsError(refusal.text)
    } catch let error as ProtocolError {
      throw DefinitionsError(error.text)
    }
  }
}

/// Why a definitions file cannot be loaded.
package struct DefinitionsError: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}

/// A definitions file, read whole before any of it is done. What is there already is changed, nothing is taken away.
struct DefinitionsFile: Sendable {
  private let fields: Fields

  init(_ fields: Fields) { self.fields = fields }

  private func items(_ name: String) throws -> [Fields] {
    switch fields[name] {
    case nil, .null?: return []
    case .list(let items)?:
      return try items.enumerated().map { index, item in
        guard case .table(let own) = item else {
          throw Refusal.badRequest("\(name)[\(index)]: \(item.shown), expected an object")
        }
        return Fields(fields: own)
      }
    case let value?: throw Refusal.badRequest("\(name): \(value.shown), expected a list")
    }
  }

  private typealias Step = @Sendable (Broker) throws -> Void

  /// - Parameter vhost: where all goes whose virtual host is not named
  /// - Throws: 400 that names the first thing that cannot be; those before it are done
  func load(into desk: Desk, only vhost: ByteString?) async throws {
    var steps: [Step] = []
    if vhost == nil { steps += try virtualHosts() + users() + permissions() }
    steps += try parameters(vhost) + policies(vhost) + exchanges(vhost) + queues(vhost) + bindings(vhost)
    // A share a turn: clients are served meanwhile.
    for start in stride(from: 0, to: steps.count, by: 200) {
      let share = Array(steps[start..<min(steps.count, start + 200)])
      try await desk.ask { broker in for step in share { try step(broker) } }
    }
  }

  private func text(_ name: String, _ item: Fields) throws -> ByteString {
    guard let text = try item.text(name) else { throw item.missing(name, "a string") }
    return ByteString(text)
  }

  private func place(_ item: Fields, _ only: ByteString?) throws -> ByteString {
    if let only { return only }
    return try text("vhost", item)
  }

  private func virtualHosts() throws -> [Step] {
    try items("vhosts").map { item in
      let (name, definition) = (try text("name", item), try VirtualHostRoutes.definition(item))
      return { broker in _ = try VirtualHostRoutes.put(name, definition, into: broker) }
    }
  }

  private func users() throws -> [Step] {
    try items("users").map { item in
      let (name, change) = (try text("name", item), try UserRoutes.change(item))
      return { broker in _ = try change.apply(to: name, of: broker.users) }
    }
  }

  private func permissions() throws -> [Step] {
    try items("permissions").map { item in
      let (user, vhost) = (try text("user", item), try text("vhost", item))
      let own = Permissions(
        configure: try text("configure", item).text, write: try text("write", item).text,
        read: try text("read", item).text)
      return { broker in try broker.users.permit(user, in: vhost, own) }
    }
      + items("topic_permissions").map { item in
        let (user, vhost) = (try text("user", item), try text("vhost", item))
        let exchange = try text("exchange", item)
        let own = TopicPermissions(write: try text("write", item).text, read: try text("read", item).text)
        return { broker in try broker.users.permitTopics(user, in: vhost, exchange: exchange, own) }
      }
  }

  /// Of RabbitMQ's components those that mean something here; others are of plugins that are not there.
  private func parameters(_ only: ByteString?) throws -> [Step] {
    try items("parameters").compactMap { item in
      let vhost = try place(item, only)
      let value = Fields(fields: try item.pairs("value") ?? [:])
      switch try item.text("component") {
      case "vhost-limits":
        let limits = VirtualHostLimits(
          connections: value["max-connections"]?.asInteger.map { Int(clamping: $0) },
          queues: value["max-queues"]?.asInteger.map { Int(clamping: $0) })
        return { broker in try broker.limitVirtualHost(vhost, limits) }
      case "operator_policy":
        let policy = try PolicyRoutes.policy(try text("name", item).text, value, .operator)
        return { broker in try broker.virtualHost(vhost).set(policy, .operator) }
      case let component:
        return { broker in
          broker.logger.warning(
            "definitions: parameter of '\(component ?? "")' is passed over: no such component")
        }
      }
    }
  }

  private func policies(_ only: ByteString?) throws -> [Step] {
    try items("policies").map { item in
      let vhost = try place(item, only)
      let policy = try PolicyRoutes.policy(try text("name", item).text, item, .user)
      return { broker in try broker.virtualHost(vhost).set(policy) }
    }
  }

  private func exchanges(_ only: ByteString?) throws -> [Step] {
    try items("exchanges").map { item in
      let vhost = try place(item, only)
      let definition = try ExchangeRoutes.definition(try text("name", item), item)
      return { broker in
        let vhost = try broker.virtualHost(vhost)
        // As in RabbitMQ what is there stays as it is.
        if vhost.exchanges[definition.name] == nil { try vhost.declare(definition) }
      }
    }
  }

  private func queues(_ only: ByteString?) throws -> [Step] {
    try items("queues").map { item in
      let vhost = try place(item, only)
      let definition = try QueueRoutes.definition(try text("name", item), item)
      return { broker in
        let vhost = try broker.virtualHost(vhost)
        if !vhost.hasQueue(definition.name) { _ = try vhost.declare(definition) }
      }
    }
  }

  private func bindings(_ only: ByteString?) throws -> [Step] {
    try items("bindings").map { item in
      let vhost = try place(item, only)
      let (source, name) = (try text("source", item), try text("destination", item))
      let key = try text("routing_key", item)
      let arguments = try item.arguments()
      let toQueue = try item.text("destination_type") != "exchange"
      return { broker in
        let vhost = try broker.virtualHost(vhost)
        do {
          let destination: Binding.Destination =
            toQueue ? .queue(try vhost.queue(name)) : .exchange(try vhost.exchange(name))
          try vhost.bind(
            source: try vhost.exchange(source), to: destination, key: key, arguments: arguments)
        } catch let error as ProtocolError where error.code == .notFound {
          // RabbitMQ exports bindings of internal exchanges, and not these.
          broker.logger.warning("definitions: binding '\(key)' is passed over: \(error.text)")
        }
      }
    }
  }
}
