/// An exchange type that is a Lua file. Knows no file: a plugin gives it an interpreter.
///
/// One object serves one exchange in one interpreter; a reload makes a new one and binds everything again.

package import AMQPWire
package import BrokerCore
internal import LuaRuntime

package final class ScriptedExchange: ExchangeType {
  /// Values of a pure exchange that are remembered; beyond, the oldest is forgotten.
  static let rememberedKeys = 4096
  /// Destinations of all remembered values together (2 MiB): clients choose how many values there are, and
  /// each may lead to every queue.
  static let rememberedDestinations = 1 << 18

  private let plugin: Plugin
  private let routes: LuaRoutes
  private let isPure: Bool
  private let meter: HookMeter
  private let remembered: KeyMemory
  private let view = MessageView()
  // The exchange holds its type, and the virtual host the exchange: they are there as long as this is asked.
  private unowned(unsafe) let exchange: Exchange
  private unowned(unsafe) let vhost: VirtualHost

  package var routesByKeyAlone: Bool { isPure }

  /// For a new exchange.
  /// - Throws: 406 with the script's text if it refuses the exchange's arguments.
  package init(_ plugin: Plugin, for exchange: Exchange) throws(ProtocolError) {
    self.plugin = plugin
    self.exchange = exchange
    vhost = exchange.vhost
    isPure = plugin.manifest.isPureInKey
    meter = plugin.meter("exchange.route")
    remembered = KeyMemory(limit: Self.rememberedKeys, destinationLimit: Self.rememberedDestinations)
    do throws(LuaError) {
      routes = try LuaRoutes(plugin.lua, definition: exchange.definitionContent)
      try plugin.run(plugin.meter("exchange.validate")) { () throws(LuaError) in try routes.validate() }
    } catch {
      throw plugin.refusal(of: "exchange '\(exchange.name)'", error)
    }
  }

  /// For an exchange that exists: the script was given its bindings before, and gets what changed since.
  /// - Throws: 406 with the script's text if it refuses one of these
  init(
    _ plugin: Plugin, for exchange: Exchange, _ prepared: PreparedBindings.Routes, of old: (any ExchangeType)?
  )
    throws(ProtocolError)
  {
    self.plugin = plugin
    self.exchange = exchange
    vhost = exchange.vhost
    isPure = plugin.manifest.isPureInKey
    meter = plugin.meter("exchange.route")
    remembered = KeyMemory(limit: Self.rememberedKeys, destinationLimit: Self.rememberedDestinations)
    routes = prepared.routes
    var gone = prepared.ids
    var fresh: [Binding] = []
    for binding in exchange.bindings.values where gone.removeValue(forKey: binding.sequence) == nil {
      fresh.append(binding)
    }
    for id in gone.values { routes.unbind(id) }
    for binding in fresh.sorted(by: { $0.sequence < $1.sequence }) { try bind(binding, isNew: false) }
    if let old = old as? ScriptedExchange { routes.adoptIndexes(of: old.routes) }
  }

  // MARK: bindings

  package func add(_ binding: Binding) throws(ProtocolError) { try add(binding, isNew: true) }

  func add(_ binding: Binding, isNew: Bool) throws(ProtocolError) {
    try bind(binding, isNew: isNew)
    remembered.forgetAll()
  }

  private func bind(_ binding: Binding, isNew: Bool) throws(ProtocolError) {
    do throws(LuaError) {
      try plugin.run(plugin.meter("exchange.bind"), in: vhost) { () throws(LuaError) in
        try routes.bind(LuaBinding(binding, isNew: isNew), budget: plugin.hookBudget)
      }
    } catch {
      throw plugin.refusal(of: "binding with key '\(binding.key)'", error)
    }
  }

  package func remove(_ binding: Binding) {
    routes.unbind(binding.address)
    remembered.forgetAll()
  }

  // MARK: routing

  // hot:
  package func route(_ message: Message, into destinations: Destinations) throws(ProtocolError) {
    guard isPure, destinations.delayedMilliseconds == nil else {
      return try ask(message, key: message.routingKey, into: destinations)
    }
    try routeRemembered(message, key: message.routingKey, into: destinations)
    guard let extra = message.header.extraKeys else { return }
    for key in extra.keys {
      try key.withOctets { (octets) throws(ProtocolError) in
        try routeRemembered(message, key: octets, into: destinations)
      }
    }
  }

  private func routeRemembered(
    _ message: Message, key: UnsafeRawBufferPointer, into destinations: Destinations
  ) throws(ProtocolError) {
    if remembered.lead(key, to: destinations) { return }
    try ask(message, key: key, into: destinations, remembering: remembered.wants(key))
  }

  // hot: no closure and no copy between the message and its script.
  private func ask(
    _ message: Message, key: UnsafeRawBufferPointer, into destinations: Destinations,
    remembering: Bool = false
  ) throws(ProtocolError) {
    view.show(message, key: key, delayedMilliseconds: destinations.delayedMilliseconds)
    view.show(vhost.publisher, in: vhost)
    let routing: LuaRouting
    do throws(LuaError) {
      routing = try plugin.run(meter, publishing: message, in: vhost) { () throws(LuaError) in
        try routes.route(view.lua, budget: plugin.routeBudget)
      }
    } catch {
      return try failed(error, message)
    }
    switch routing {
    case .routed(let ids, let queues):
      for id in ids { Binding.with(address: id) { destinations.add($0) } }
      for name in queues { destinations.add(queueNamed: name.buffer) }
      if remembering, ids.count + queues.count <= Self.rememberedDestinations {
        remembered.remember(key, KeyMemory.Route(ids, queues))
      }
    case .denied(let text):
      throw ProtocolError(.preconditionFailed, String(decoding: text.buffer, as: UTF8.self))
    case .dropped: destinations.drop()
    case .delayed(let milliseconds, let change):
      let changed: Message?
      do throws(ProtocolError) {
        changed = try change.applied(to: message)
      } catch {
        return try failed(LuaError(.runtime, error.text), message)
      }
      destinations.delay(milliseconds: milliseconds, as: changed)
    }
  }

  /// - Throws: 406, unless the plugin says that a message is unroutable then
  private func failed(_ error: LuaError, _ message: Message) throws(ProtocolError) {
    plugin.report(error, "route of exchange '\(exchange.name)'", on: message)
    if plugin.manifest.onError.route == .pass { return }
    throw ProtocolError(.preconditionFailed, "exchange type '\(plugin.name)' failed: \(error.message)")
  }
}

extension Binding {
  fileprivate var leadsToExchange: Bool { if case .exchange = destination { true } else { false } }
}

extension LuaBinding {
  init(_ binding: Binding, isNew: Bool) {
    self.init(
      id: binding.address, key: binding.key.bytes, destination: binding.destination.name.bytes,
      toExchange: binding.leadsToExchange, arguments: binding.arguments.content, isNew: isNew)
  }
}

extension Exchange {
  /// What scripts see as `exchange`.
  var definitionContent: [UInt8] {
    let fields: FieldTable = [
      "name": .string(name), "type": .string(typeName), "vhost": .string(vhost.name),
      "durable": .boolean(durable), "auto_delete": .boolean(autoDelete), "internal": .boolean(isInternal),
      "arguments": .table(arguments),
    ]
    return fields.content
  }
}
