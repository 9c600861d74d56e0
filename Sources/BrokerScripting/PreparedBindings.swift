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
    fileprivate(set) var bindings: [Binding]
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
    /// Of each binding: its id in the script by its sequence.
    let ids: [UInt64: UInt64]
  }

  var exchanges: [ExchangePlace: Routes] = [:]
  var matchers: [BindingPlace: LuaMatcher] = [:]
}

extension BindingSnapshot {
  /// Scripts get the bindings in the order in which they were made. Away from the core loop: it takes longer
  /// than to take them.
  mutating func sort() {
    for type in exchanges.keys {
      for index in exchanges[type, default: []].indices {
        exchanges[type]?[index].bindings.sort { $0.sequence < $1.sequence }
      }
    }
  }
}

/// Takes a snapshot in turns of the core loop, a bounded number of bindings each, so that others get theirs
/// between them. What changes meanwhile is seen or not: whoever puts the new version into force compares.
///
///     exchanges left ──> the exchange at hand, with its bindings as it was begun ──> held until the end
final class BindingSurvey {
  /// About a millisecond.
  static let bindingsATurn = 1000

  private typealias Bindings = [BrokerCore.Binding.Identity: BrokerCore.Binding]

  private let types: Set<String>
  private let matchers: Set<String>
  private let bindingsATurn: Int
  private var left: [BrokerCore.Exchange] = []
  private var exchange: BrokerCore.Exchange?
  private var isScripted = false
  private var isMatched = false
  private var bindings: Bindings = [:]
  private var next = Bindings().startIndex
  private var taken: [BindingSnapshot.Binding] = []
  /// Places and ids are addresses: none may be another's before all are taken.
  private var held: [(BrokerCore.Exchange, Bindings)] = []
  private var snapshot = BindingSnapshot()

  /// - Parameters:
  ///   - types: exchange types that are about to change
  ///   - matchers: header matchers that are about to change
  init(of broker: Broker, types: Set<String>, matchers: Set<String>, bindingsATurn: Int = bindingsATurn) {
    self.types = types
    self.matchers = matchers
    self.bindingsATurn = bindingsATurn
    guard !types.isEmpty || !matchers.isEmpty else { return }
    for vhost in broker.vhosts.values { left += vhost.exchanges.values }
  }

  /// - Returns: nil while there is more to take
  func advance() -> BindingSnapshot? {
    for _ in 0..<bindingsATurn {
      if let exchange, next < bindings.endIndex {
        take(bindings[next].value, of: exchange)
        next = bindings.index(after: next)
      } else {
        if let exchange { end(exchange) }
        guard let following = left.popLast() else { return finished() }
        begin(following)
      }
    }
    return nil
  }

  private func begin(_ following: BrokerCore.Exchange) {
    isScripted = types.contains(following.typeName.text)
    isMatched = !matchers.isEmpty && following.typeName == "headers"
    guard isScripted || isMatched else { return }
    exchange = following
    bindings = following.bindings
    next = bindings.startIndex
  }

  private func take(_ binding: BrokerCore.Binding, of exchange: BrokerCore.Exchange) {
    if isScripted {
      taken.append(
        BindingSnapshot.Binding(sequence: binding.sequence, binding: LuaBinding(binding, isNew: false)))
    }
    guard isMatched, let name = binding.arguments["x-match"]?.string?.text, matchers.contains(name)
    else { return }
    let place = BindingPlace(exchange: ExchangePlace(exchange), sequence: binding.sequence)
    snapshot.matched[name, default: []].append((place, binding.arguments.content))
  }

  private func end(_ exchange: BrokerCore.Exchange) {
    held.append((exchange, bindings))
    self.exchange = nil
    guard isScripted else { return }
    snapshot.exchanges[exchange.typeName.text, default: []].append(
      BindingSnapshot.Exchange(
        place: ExchangePlace(exchange), definition: exchange.definitionContent, bindings: taken))
    taken = []
  }

  /// What was held is let go here, on the loop.
  private func finished() -> BindingSnapshot {
    held = []
    bindings = [:]
    return snapshot
  }
}

extension Plugin {
  /// Gives the script all that exists of its kind: away from the core loop.
  /// - Throws: which exchange or binding it refused, and why
  func prepare(_ snapshot: BindingSnapshot) throws(LuaError) {
    for exchange in snapshot.exchanges[name] ?? [] where manifest.isExchangeType {
      let what = "exchange '\(exchange.place.name)' in vhost '\(exchange.place.vhost)'"
      let routes = try LuaRoutes(lua, definition: exchange.definition)
      try blaming(what) { () throws(LuaError) in try routes.validate() }
      var ids: [UInt64: UInt64] = [:]
      for binding in exchange.bindings {
        let key = String(decoding: binding.binding.key, as: UTF8.self)
        try blaming("binding of \(what) with key '\(key)'") { () throws(LuaError) in
          try routes.bind(binding.binding)
        }
        ids[binding.sequence] = binding.binding.id
      }
      prepared.exchanges[exchange.place] = PreparedBindings.Routes(routes: routes, ids: ids)
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
