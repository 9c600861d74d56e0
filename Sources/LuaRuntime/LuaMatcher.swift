/// Matchers of headers: a plugin's, and expressions that clients bind with.

internal import CLuaGuard

/// What one binding wants of a message's headers.
package final class LuaMatcher {
  private let interpreter: LuaInterpreter
  private let matcher: OpaquePointer

  fileprivate init(_ interpreter: LuaInterpreter, _ matcher: OpaquePointer?) throws(LuaError) {
    guard let matcher else {
      let error = lg_error(interpreter.interpreter)
      guard error.pointee.kind != 0 else { throw LuaError(.memory, "not enough memory") }
      throw LuaError(error)
    }
    self.interpreter = interpreter
    self.matcher = matcher
  }

  deinit { lg_matcher_close(matcher) }

  /// Where many matchers of one interpreter are asked about one message, give it a `serial`: its headers are
  /// read once then.
  // hot:
  package func matches(_ message: UnsafePointer<LuaMessage>, budget: LuaBudget = .route) throws(LuaError)
    -> Bool
  {
    var matches = false
    let status = lg_matcher_matches(matcher, message, budget.guardBudget, &matches)
    if status != LG_OK { throw LuaError(lg_error(interpreter.interpreter)) }
    return matches
  }
}

extension LuaInterpreter {
  /// Calls the plugin's `matcher.bind` with a binding's arguments (a field table's content).
  /// - Throws: `.refused` with the script's text when it says deny
  package func matcher(_ arguments: [UInt8], budget: LuaBudget = .hook) throws(LuaError) -> LuaMatcher {
    try LuaMatcher(self, withBytes(arguments) { lg_matcher_open(interpreter, $0, budget.guardBudget) })
  }
}

/// Expressions over `headers`, all in one interpreter. They see `string`, `math`, `utf8`, `type`, `tonumber` and
/// `tostring`, and can change nothing that another would see.
package final class LuaExpressions {
  private let interpreter: LuaInterpreter

  /// Nil when the memory limit does not even hold the libraries.
  package init?(limits: LuaLimits = LuaLimits()) {
    guard let interpreter = LuaInterpreter(limits: limits) else { return nil }
    self.interpreter = interpreter
  }

  package var memoryBytes: Int { interpreter.memoryBytes }
  /// CPU time of the last call, as an interpreter's.
  package var lastCallNanoseconds: UInt64 { interpreter.lastCallNanoseconds }

  /// text: one expression of at most 4,096 bytes, as `headers.price > 100 and headers.region == "eu"`. What it
  /// gives counts as Lua counts it: nil and false do not match.
  /// - Throws: `.syntax`, beginning with `x-lua:1:`
  package func compile(_ text: [UInt8], budget: LuaBudget = .hook) throws(LuaError) -> LuaMatcher {
    try LuaMatcher(
      interpreter, withBytes(text) { lg_expression_open(interpreter.interpreter, $0, budget.guardBudget) })
  }

  package func compile(_ text: String) throws(LuaError) -> LuaMatcher { try compile(Array(text.utf8)) }

  /// For tests: from the n-th allocation on, all fail; nil ends it.
  package func failAllocations(from nth: Int?) { interpreter.failAllocations(from: nth) }
}

package typealias LuaExpression = LuaMatcher
