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
  private let indexes = BindingIndexes()
  private let isPure: Bool
  private var remembered: KeyMemory
  private var user = Octets(Identity.none.nameOctets)
  private var userOf = Identity.none
  private let vhostName: Octets
  private unowned let exchange: Exchange

  package var routesByKeyAlone: Bool { isPure }

  /// - Throws: 406 with the script's text if it refuses the exchange's arguments.
  package init(_ plugin: Plugin, for exchange: Exchange) throws(ProtocolError) {
    self.plugin = plugin
    self.exchange = exchange
    isPure = plugin.manifest.isPureInKey
    remembered = KeyMemory(limit: Self.rememberedKeys, destinationLimit: Self.rememberedDestinations)
    vhostName = Octets(exchange.vhost.name)
    do throws(LuaError) {
      routes = try LuaRoutes(plugin.lua, definition: exchange.definitionContent, selector: indexes)
      try plugin.run { () throws(LuaError) in try routes.validate() }
    } catch {
      throw plugin.refusal(of: "exchange '\(exchange.name)'", error)
    }
  }

  // MARK: bindings

  package func add(_ binding: Binding) throws(ProtocolError) {
    let scripted = LuaBinding(
      id: binding.scriptID, key: binding.key.bytes, destination: binding.destination.name.bytes,
      toExchange: binding.leadsToExchange, arguments: binding.arguments.content)
    do throws(LuaError) {
      try plugin.run { () throws(LuaError) in try routes.bind(scripted) }
    } catch {
      throw plugin.refusal(of: "binding with key '\(binding.key)'", error)
    }
    indexes.add(binding)
    remembered.forgetAll()
  }

  package func remove(_ binding: Binding) {
    routes.unbind(binding.scriptID)
    indexes.remove(binding)
    remembered.forgetAll()
  }

  // MARK: routing

  // hot:
  package func route(_ message: Message, into destinations: Destinations) throws(ProtocolError) {
    guard isPure else { return try route(message, key: message.routingKey, into: destinations) }
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
    let publisher = exchange.vhost.publisher
    if publisher !== userOf {
      userOf = publisher
      user = Octets(publisher.nameOctets)
    }
    view.user = user.lua
    view.vhost = vhostName.lua
    let routing: LuaRouting
    do throws(LuaError) {
      routing = try plugin.run { () throws(LuaError) in try routes.route(&view) }
    } catch {
      plugin.report(error, "exchange '\(exchange.name)', routing key '\(ByteString(key))'")
      throw ProtocolError(.preconditionFailed, "exchange type '\(plugin.name)' failed: \(error.message)")
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
    case .delayed:
      throw ProtocolError(.preconditionFailed, "exchange type '\(plugin.name)': delay() is not available yet")
    }
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

/// Octets that stay where they are, to be shown to a script during calls.
private final class Octets {
  private let buffer: UnsafeMutableRawBufferPointer

  init(_ octets: ByteString) {
    buffer = .allocate(byteCount: octets.count + 1, alignment: 1)
    buffer.copyBytes(from: octets.bytes)
    count = octets.count
  }

  private let count: Int
  var lua: LuaBytes { LuaBytes(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }

  deinit { buffer.deallocate() }
}

extension Binding {
  /// The binding's address. ScriptedExchange's `indexes` hold the binding for as long as a script knows the
  /// id.
  fileprivate var scriptID: UInt64 { UInt64(UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque())) }

  fileprivate static func from(scriptID: UInt64) -> Binding {
    guard let address = UnsafeRawPointer(bitPattern: UInt(scriptID)) else {
      preconditionFailure("a script's binding has an address")
    }
    return Unmanaged<Binding>.fromOpaque(address).takeUnretainedValue()
  }

  fileprivate var leadsToExchange: Bool { if case .exchange = destination { true } else { false } }
}

/// The native indexes behind `bindings:key()` and `bindings:topic()`: each is made when it is first asked
/// for.
final class BindingIndexes: LuaSelector {
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

extension FieldTable {
  /// The fields without the table's length.
  var content: [UInt8] {
    guard !isEmpty else { return [] }
    var writer = FieldWriter()
    writer.put(table: self)
    return Array(writer.bytes.dropFirst(4))
  }
}

extension Exchange {
  /// What scripts see as `exchange`.
  fileprivate var definitionContent: [UInt8] {
    let fields: FieldTable = [
      "name": .string(name), "type": .string(typeName), "vhost": .string(vhost.name),
      "durable": .boolean(durable), "auto_delete": .boolean(autoDelete), "internal": .boolean(isInternal),
      "arguments": .table(arguments),
    ]
    return fields.content
  }
}
