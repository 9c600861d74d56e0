/// A function of a plugin's table that is called often: found once, called without looking it up.

internal import CLuaGuard

/// What a hook said. The bytes are valid until the next call into the same interpreter.
package enum LuaVerdict {
  /// Nothing, or `null`.
  case none
  /// The other fields of `allow{…}`, as a field table's content.
  case allow(LuaBytes)
  case deny(LuaBytes)
  case drop(LuaBytes)
  /// The fields of `change{…}`, as a field table's content.
  case change(LuaBytes)
  /// change: what changes meanwhile, as of `change`; empty if nothing does.
  case delay(milliseconds: Int64, change: LuaBytes)
  case throttle(milliseconds: Int64)
}

extension LuaInterpreter {
  /// The function at a dotted path of the plugin's table, as `filters.publish.run` or `timers.1.run`; nil
  /// when there is none.
  package func hook(_ path: String) throws(LuaError) -> LuaHook? {
    if let hook = withBytes(path, { lg_hook_open(interpreter, $0) }) {
      return LuaHook(self, path: path, hook: hook)
    }
    let error = lg_error(interpreter)
    if error.pointee.kind != 0 { throw LuaError(error) }
    return nil
  }
}

package final class LuaHook {
  package let path: String
  private let interpreter: LuaInterpreter
  private let hook: OpaquePointer

  fileprivate init(_ interpreter: LuaInterpreter, path: String, hook: OpaquePointer) {
    self.interpreter = interpreter
    self.path = path
    self.hook = hook
  }

  deinit { lg_hook_close(hook) }

  // hot: the message is read in place, and a short script allocates nothing here.
  package func run(_ message: UnsafePointer<LuaMessage>, budget: LuaBudget = .route) throws(LuaError)
    -> LuaVerdict
  {
    var result = LGHookResult()
    let status = lg_hook_run(hook, message, nil, budget.guardBudget, &result)
    if status != LG_OK { throw LuaError(lg_error(interpreter.interpreter)) }
    return LuaVerdict(result)
  }

  /// second: a field table's content, which the function gets as its second argument.
  package func run(_ message: UnsafePointer<LuaMessage>, second: [UInt8], budget: LuaBudget = .route)
    throws(LuaError) -> LuaVerdict
  {
    var result = LGHookResult()
    let status = withBytes(second) { second in
      var second = second
      return lg_hook_run(hook, message, &second, budget.guardBudget, &result)
    }
    try interpreter.check(status)
    return LuaVerdict(result)
  }

  /// Without a message: `declare(kind, definition)`.
  package func run(_ arguments: [LuaValue], budget: LuaBudget = .hook) throws(LuaError) -> LuaVerdict {
    var result = LGHookResult()
    try interpreter.check(
      withBytes(LuaValueCodec.arrayContent(arguments)) {
        lg_hook_call(hook, $0, budget.guardBudget, &result)
      })
    return LuaVerdict(result)
  }
}

extension LuaVerdict {
  init(_ result: LGHookResult) {
    switch LGHookVerdict(rawValue: UInt32(truncatingIfNeeded: result.verdict)) {
    case LG_ALLOW: self = .allow(result.content)
    case LG_DENY: self = .deny(result.content)
    case LG_DROP: self = .drop(result.content)
    case LG_CHANGE: self = .change(result.content)
    case LG_DELAY: self = .delay(milliseconds: result.milliseconds, change: result.content)
    case LG_THROTTLE: self = .throttle(milliseconds: result.milliseconds)
    default: self = .none
    }
  }

  /// The fields of an `allow` or `change`; nil for others.
  package var fields: [String: LuaValue]? {
    switch self {
    case .allow(let content), .change(let content): LuaValueCodec.table(content.buffer)
    default: nil
    }
  }
}
