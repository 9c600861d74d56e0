/// The bindings of one exchange in one interpreter, and the call of the script's `route`.

package import CLuaGuard

/// What `route` said. The buffers are valid until the next call into the same interpreter.
package enum LuaRouting {
  /// Unroutable when both are empty.
  case routed(ids: UnsafeBufferPointer<UInt64>, queues: UnsafeBufferPointer<LGBytes>)
  case denied(LGBytes)
  case dropped(LGBytes)
  /// change: as of LuaVerdict.change; empty if nothing changes.
  case delayed(milliseconds: Int64, change: LGBytes)
}

package struct LuaBinding {
  /// The host's number for it; not 0, and unique in its exchange.
  package var id: UInt64
  package var key: [UInt8]
  package var destination: [UInt8]
  package var toExchange: Bool
  /// A field table's content, without its length.
  package var arguments: [UInt8]
  /// A client binds just now: neither recovery nor a reload.
  package var isNew: Bool

  package init(
    id: UInt64, key: [UInt8], destination: [UInt8], toExchange: Bool, arguments: [UInt8], isNew: Bool = false
  ) {
    self.id = id
    self.key = key
    self.destination = destination
    self.toExchange = toExchange
    self.arguments = arguments
    self.isNew = isNew
  }
}

package final class LuaRoutes {
  private let interpreter: LuaInterpreter
  private var routes: OpaquePointer?

  /// definition: a field table's content; the script sees it as `bindings.exchange` and gets it in
  /// `validate`.
  package init(_ interpreter: LuaInterpreter, definition: [UInt8]) throws(LuaError) {
    self.interpreter = interpreter
    routes = withBytes(definition) { lg_routes_open(interpreter.interpreter, $0) }
    if routes == nil { throw LuaError(lg_error(interpreter.interpreter)) }
  }

  deinit { lg_routes_close(routes) }

  /// Throws `.refused` with the script's text when it says deny.
  package func validate(budget: LuaBudget = .hook) throws(LuaError) {
    guard let routes else { return }
    try interpreter.check(lg_routes_validate(routes, budget.guardBudget))
  }

  /// Throws `.refused` with the script's text when it says deny; the binding is not added when it throws.
  package func bind(_ binding: LuaBinding, budget: LuaBudget = .hook) throws(LuaError) {
    guard let routes else { return }
    let status = withBytes(binding.key) { key in
      withBytes(binding.destination) { destination in
        withBytes(binding.arguments) { arguments in
          var raw = LGBinding(
            id: binding.id, key: key, destination: destination, arguments: arguments,
            to_exchange: binding.toExchange, is_new: binding.isNew)
          return lg_routes_bind(routes, &raw, budget.guardBudget)
        }
      }
    }
    try interpreter.check(status)
  }

  /// Takes the indexes of an older version's, which has the same bindings under the same ids: bindings are as
  /// they were, whatever the script.
  package func adoptIndexes(of old: LuaRoutes) {
    guard let routes, let other = old.routes else { return }
    lg_routes_adopt(routes, other)
  }

  package func unbind(_ id: UInt64) {
    guard let routes else { return }
    // A script that knew the id of a binding that is gone would hand it to the host.
    guard lg_routes_unbind(routes, id) else { preconditionFailure("no binding goes while its script runs") }
  }

  // hot: the message is read in place, and a short script allocates nothing here.
  package func route(_ message: UnsafePointer<LuaMessage>, budget: LuaBudget = .route) throws(LuaError)
    -> LuaRouting
  {
    guard let routes else { throw LuaError(.runtime, "the exchange is gone") }
    var result = LGRouteResult()
    let status = lg_routes_route(
      routes, message, budget.guardBudget, LuaBudget.hook.guardBudget, &result)
    if status != LG_OK { throw LuaError(lg_error(interpreter.interpreter)) }
    switch LGVerdict(rawValue: UInt32(truncatingIfNeeded: result.verdict)) {
    case LG_DENIED: return .denied(result.text)
    case LG_DROPPED: return .dropped(result.text)
    case LG_DELAYED: return .delayed(milliseconds: result.milliseconds, change: result.text)
    default:
      return .routed(
        ids: UnsafeBufferPointer(start: result.ids, count: result.id_count),
        queues: UnsafeBufferPointer(start: result.queues, count: result.queue_count))
    }
  }
}
