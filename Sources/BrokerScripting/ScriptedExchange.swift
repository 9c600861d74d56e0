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
  private let selector: RoutesSelector
  private let isPure: Bool
  private let meter: HookMeter
  private var remembered: KeyMemory
  private var surroundings = Surroundings()
  private unowned let exchange: Exchange
  private var indexes: BindingIndexes { selector.indexes }

  package var routesByKeyAlone: Bool { isPure }

  /// For a new exchange.
  /// - Throws: 406 with the script's text if it refuses the exchange's arguments.
  package init(_ plugin: Plugin, for exchange: Exchange) throws(ProtocolError) {
    self.plugin = plugin
    self.exchange = exchange
    isPure = plugin.manifest.isPureInKey
    meter = plugin.meter("exchange.route")
    remembered = KeyMemory(limit: Self.rememberedKeys, destinationLimit: Self.rememberedDestinations)
    selector = RoutesSelector()
    do throws(LuaError) {
      routes = try LuaRoutes(plugin.lua, definition: exchange.definitionContent, selector: selector)
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
    isPure = plugin.manifest.isPureInKey
    meter = plugin.meter("exchange.route")
    remembered = KeyMemory(limit: Self.rememberedKeys, destinationLimit: Self.rememberedDestinations)
    routes = prepared.routes
    selector = prepared.selector
    var gone = prepared.ids
    var fresh: [Binding] = []
    for binding in exchange.bindings.values where gone.removeValue(forKey: binding.sequence) == nil {
      fresh.append(binding)
    }
    for id in gone.values { routes.unbind(id) }
    // The indexes know bindings only, no script: those of the version before are as good.
    if let old = old as? ScriptedExchange {
      selector.indexes = old.indexes
    } else {
      for binding in exchange.bindings.values { indexes.add(binding) }
    }
    for binding in fresh.sorted(by: { $0.sequence < $1.sequence }) { try bind(binding, isNew: false) }
  }

  // MARK: bindings

  package func add(_ binding: Binding) throws(ProtocolError) { try add(binding, isNew: true) }

  func add(_ binding: Binding, isNew: Bool) throws(ProtocolError) {
    try bind(binding, isNew: isNew)
    indexes.add(binding)
    remembered.forgetAll()
  }

  private func bind(_ binding: Binding, isNew: Bool) throws(ProtocolError) {
    do throws(LuaError) {
      try plugin.run(plugin.meter("exchange.bind"), in: exchange.vhost) { () throws(LuaError) in
        try routes.bind(LuaBinding(binding, isNew: isNew), budget: plugin.hookBudget)
      }
    } catch {
      throw plugin.refusal(of: "binding with key '\(binding.key)'", error)
    }
  }

  package func remove(_ binding: Binding) {
    routes.unbind(binding.scriptID)
    indexes.remove(binding)
    remembered.forgetAll()
  }

  // MARK: routing

  // hot:
  package func route(_ message: Message, into destinations: Destinations) throws(ProtocolError) {
    guard isPure, destinations.delayedMilliseconds == nil else {
      return try route(message, key: message.routingKey, into: destinations)
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
    if let known = remembered[key] {
      for binding in known.bindings { destinations.add(binding) }
      for name in known.queues { name.withOctets { destinations.add(queueNamed: $0) } }
      return
    }
    try route(message, key: key, into: destinations)
  }

  private func route(
    _ message: Message, key: UnsafeRawBufferPointer, into destinations: Destinations
  ) throws(ProtocolError) {
    var view = LuaMessage(message, key: key)
    surroundings.fill(&view, identity: exchange.vhost.publisher, vhost: exchange.vhost.name)
    if let delayed = destinations.delayedMilliseconds { view.delayed_milliseconds = delayed }
    let routing: LuaRouting
    do throws(LuaError) {
      routing = try plugin.run(meter, publishing: message, in: exchange.vhost) { () throws(LuaError) in
        try routes.route(&view, budget: plugin.routeBudget)
      }
    } catch {
      return try failed(error, message)
    }
    switch routing {
    case .routed(let ids, let queues):
      for id in ids { destinations.add(Binding.from(scriptID: id)) }
      for name in queues { destinations.add(queueNamed: name.buffer) }
      if isPure, ids.count + queues.count <= Self.rememberedDestinations {
        remembered.remember(
          key, Route(bindings: ids.map(Binding.from), queues: queues.map { ByteString($0.buffer) }))
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

/// Where a key led.
struct Route {
  let bindings: [Binding]
  let queues: [ByteString]

  var count: Int { bindings.count + queues.count }
}

/// The routes of the keys seen last, at most so many. When they hold too many destinations together, all are
/// forgotten.
struct KeyMemory {
  private let limit: Int
  private let destinationLimit: Int
  private var routes = OctetMap<Route>()
  private var order: [ByteString] = []
  private var oldest = 0
  private(set) var destinations = 0

  init(limit: Int, destinationLimit: Int) {
    self.limit = limit
    self.destinationLimit = destinationLimit
  }

  subscript(key: UnsafeRawBufferPointer) -> Route? { routes[key] }

  mutating func remember(_ key: UnsafeRawBufferPointer, _ route: Route) {
    let key = ByteString(key)
    if destinations + route.count > destinationLimit { forgetAll() }
    if order.count < limit {
      order.append(key)
    } else {
      destinations -= routes[order[oldest]]?.count ?? 0
      routes[order[oldest]] = nil
      order[oldest] = key
      oldest = (oldest + 1) % limit
    }
    destinations += route.count
    routes[key] = route
  }

  mutating func forgetAll() {
    guard !order.isEmpty else { return }
    routes = OctetMap()
    order.removeAll(keepingCapacity: true)
    oldest = 0
    destinations = 0
  }
}

extension Binding {
  /// The binding's address. ScriptedExchange's `indexes` hold the binding for as long as a script knows the
  /// id.
  var scriptID: UInt64 { UInt64(UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque())) }

  fileprivate static func from(scriptID: UInt64) -> Binding {
    guard let address = UnsafeRawPointer(bitPattern: UInt(scriptID)) else {
      preconditionFailure("a script's binding has an address")
    }
    return Unmanaged<Binding>.fromOpaque(address).takeUnretainedValue()
  }

  fileprivate var leadsToExchange: Bool { if case .exchange = destination { true } else { false } }
}

/// What the interpreter asks for indexes; the indexes themselves outlive a version of the script.
final class RoutesSelector: LuaSelector {
  var indexes = BindingIndexes()

  // hot:
  func select(_ kind: LuaSelection.Kind, _ value: UnsafeRawBufferPointer, into selection: LuaSelection)
    -> LuaSelected
  {
    indexes.select(kind, value, into: selection)
  }
}

/// The native indexes behind `bindings:key()` and `bindings:topic()`: each is made when it is first asked
/// for.
final class BindingIndexes {
  private var bindings: [ObjectIdentifier: Binding] = [:]
  private var byKey: OctetMap<ContiguousArray<Binding>>?
  private var byTopic: TopicTrie?

  func add(_ binding: Binding) {
    bindings[ObjectIdentifier(binding)] = binding
    byKey?.update(binding.key, default: []) { $0.append(binding) }
    byTopic?.add(binding)
  }

  func remove(_ binding: Binding) {
    guard bindings.removeValue(forKey: ObjectIdentifier(binding)) != nil else { return }
    byTopic?.remove(binding)
    guard var left = byKey?[binding.key] else { return }
    left.removeAll { $0 === binding }
    byKey?[binding.key] = left.isEmpty ? nil : left
  }

  // hot:
  func select(_ kind: LuaSelection.Kind, _ value: UnsafeRawBufferPointer, into selection: LuaSelection)
    -> LuaSelected
  {
    switch kind {
    case .key:
      if byKey == nil { indexKeys() }
      for binding in byKey?[value] ?? [] { selection.add(binding.scriptID) }
      return .selected
    case .topic:
      if byTopic == nil { indexTopics() }
      byTopic?.match(value) { selection.add($0.scriptID) }
      return .selected
    case .headers: return .noIndex
    }
  }

  private func indexKeys() {
    var index = OctetMap<ContiguousArray<Binding>>()
    for binding in bindings.values { index.update(binding.key, default: []) { $0.append(binding) } }
    byKey = index
  }

  private func indexTopics() {
    let trie = TopicTrie()
    for binding in bindings.values { trie.add(binding) }
    byTopic = trie
  }
}

extension LuaBinding {
  init(_ binding: Binding, isNew: Bool) {
    self.init(
      id: binding.scriptID, key: binding.key.bytes, destination: binding.destination.name.bytes,
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
