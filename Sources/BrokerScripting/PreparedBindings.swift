/// Bindings that exist already, given to a new version of a script away from the core loop: what is left for
/// the loop is what changed meanwhile. Knows no plugin's file.

internal import AMQPWire
internal import BrokerCore
internal import LuaRuntime

/// All exchanges and bindings that plugins of some names have to do with, as they stood at one moment.
package struct BindingSnapshot: Sendable {
  struct Exchange: Sendable {
    let place: ExchangePlace
    let definition: [UInt8]
    let bindings: [Binding]
  }

  struct Binding: Sendable {
    let sequence: UInt64
    let binding: LuaBinding
  }

  /// By exchange type.
  var exchanges: [String: [Exchange]] = [:]
  /// By the name of the matcher: arguments by the binding's place.
  var matched: [String: [(place: BindingPlace, arguments: [UInt8])]] = [:]
}

/// Names an exchange for good: one that was deleted and made again is another.
struct ExchangePlace: Hashable, Sendable {
  let address: UInt
  let vhost: ByteString
  let name: ByteString

  init(_ exchange: Exchange) {
    address = UInt(bitPattern: Unmanaged.passUnretained(exchange).toOpaque())
    vhost = exchange.vhost.name
    name = exchange.name
  }
}

struct BindingPlace: Hashable, Sendable {
  let exchange: ExchangePlace
  /// Never given twice in a virtual host.
  let sequence: UInt64
}

/// What a new version was given away from the loop.
struct PreparedBindings {
  struct Routes {
    let routes: LuaRoutes
    /// The selector behind the routes, whose indexes come with the exchange.
    let selector: RoutesSelector
    /// Of each binding: its id in the script by its sequence.
    let ids: [UInt64: UInt64]
  }

  var exchanges: [ExchangePlace: Routes] = [:]
  var matchers: [BindingPlace: LuaMatcher] = [:]
}

extension BindingSnapshot {
  /// - Parameters:
  ///   - types: exchange types that are about to change
  ///   - matchers: header matchers that are about to change
  static func taken(of broker: Broker, types: Set<String>, matchers: Set<String>) -> BindingSnapshot {
    var snapshot = BindingSnapshot()
    guard !types.isEmpty || !matchers.isEmpty else { return snapshot }
    for vhost in broker.vhosts.values {
      for exchange in vhost.exchanges.values {
        let type = exchange.typeName.text
        if types.contains(type) {
          let bindings = exchange.orderedBindings.map {
            Binding(sequence: $0.sequence, binding: LuaBinding($0, isNew: false))
          }
          snapshot.exchanges[type, default: []].append(
            Exchange(
              place: ExchangePlace(exchange), definition: exchange.definitionContent, bindings: bindings))
        }
        guard !matchers.isEmpty, type == "headers" else { continue }
        for binding in exchange.bindings.values {
          guard let name = binding.arguments["x-match"]?.string?.text, matchers.contains(name) else {
            continue
          }
          snapshot.matched[name, default: []].append(
            (
              BindingPlace(exchange: ExchangePlace(exchange), sequence: binding.sequence),
              binding.arguments.content
            ))
        }
      }
    }
    return snapshot
  }
}

extension Plugin {
  /// Gives the script all that exists of its kind: away from the core loop.
  /// - Throws: which exchange or binding it refused, and why
  func prepare(_ snapshot: BindingSnapshot) throws(LuaError) {
    for exchange in snapshot.exchanges[name] ?? [] where manifest.isExchangeType {
      let what = "exchange '\(exchange.place.name)' in vhost '\(exchange.place.vhost)'"
      let selector = RoutesSelector()
      let routes = try LuaRoutes(lua, definition: exchange.definition, selector: selector)
      try blaming(what) { () throws(LuaError) in try routes.validate() }
      var ids: [UInt64: UInt64] = [:]
      for binding in exchange.bindings {
        let key = String(decoding: binding.binding.key, as: UTF8.self)
        try blaming("binding of \(what) with key '\(key)'") { () throws(LuaError) in
          try routes.bind(binding.binding)
        }
        ids[binding.sequence] = binding.binding.id
      }
      prepared.exchanges[exchange.place] = PreparedBindings.Routes(
        routes: routes, selector: selector, ids: ids)
    }
    for (place, arguments) in snapshot.matched[name] ?? [] where manifest.matcher != nil {
      let what = "binding of exchange '\(place.exchange.name)' in vhost '\(place.exchange.vhost)'"
      prepared.matchers[place] = try blaming(what) { () throws(LuaError) in try lua.matcher(arguments) }
    }
  }

  private func blaming<Result>(_ what: String, _ body: () throws(LuaError) -> Result) throws(LuaError)
    -> Result
  {
    do throws(LuaError) {
      return try body()
    } catch {
      var named = error
      named.message = "\(what) that exists already is refused: \(error.message)"
      throw named
    }
  }
}
