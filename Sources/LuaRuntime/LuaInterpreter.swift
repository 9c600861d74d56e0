/// One script, its interpreter and its limits. Knows messages and bindings as bytes only; knows no broker.
///
/// Belongs to one thread at a time. No call may be made from within a callback of LuaHost.

package import CLuaGuard

package typealias LuaMessage = LGMessage
package typealias LuaBytes = LGBytes

package final class LuaInterpreter {
  let interpreter: OpaquePointer
  private let host: HostBox?

  /// What its `shared` holds; set when the interpreter comes to the thread that has the others.
  package var shared: LuaShared { didSet { lg_share(interpreter, shared.store) } }
  /// A trial: what the script writes to `shared`, publishes and counts is checked and answered, and does not
  /// happen.
  package var dry = false { didSet { lg_set_dry(interpreter, dry) } }

  /// Nil when the memory limit does not even hold the libraries. Without `shared` it has one of its own.
  package init?(
    limits: LuaLimits = LuaLimits(), host: (any LuaHost)? = nil, shared: LuaShared = LuaShared()
  ) {
    self.shared = shared
    self.host = host.map(HostBox.init)
    var guardLimits = limits.guardLimits
    var callbacks = LGHost()
    self.host?.fill(&callbacks)
    callbacks.digest = { LuaDigests.callback($0, kind: $1, key: $2, text: $3, out: $4) }
    guard let opened = lg_open(&guardLimits, &callbacks) else { return nil }
    interpreter = opened
    lg_share(opened, shared.store)
  }

  deinit { lg_close(interpreter) }

  package var memoryBytes: Int { lg_statistics(interpreter).memory_bytes }

  /// CPU time of the last call; 0 for one too short to have looked at the clock (about 20 microseconds).
  package var lastCallNanoseconds: UInt64 { lg_last_call_nanoseconds(interpreter) }

  // MARK: The script

  /// Makes a source available to `require(name)`; nothing is read from disk later.
  package func addModule(_ name: String, path: String, source: String) throws(LuaError) {
    try check(
      withBytes(name) { name in
        withBytes(path) { path in withBytes(source) { lg_add_module(interpreter, name, path, $0) } }
      })
  }

  /// Runs the source and returns the table that it returned, functions as `.function`.
  package func evaluate(_ source: String, path: String, budget: LuaBudget = .load)
    throws(LuaError) -> [String: LuaValue]
  {
    try check(
      withBytes(path) { path in
        withBytes(source) { lg_evaluate(interpreter, path, $0, budget.guardBudget) }
      })
    var bytes = LGBytes()
    try check(lg_manifest(interpreter, &bytes))
    guard let fields = LuaValueCodec.table(bytes.buffer) else {
      throw LuaError(.runtime, "\(path): the plugin's table cannot be read")
    }
    return fields
  }

  /// Runs a chunk beside the plugin and returns its first result.
  package func execute(_ source: String, path: String, budget: LuaBudget = .load) throws(LuaError) -> LuaValue
  {
    var bytes = LGBytes()
    try check(
      withBytes(path) { path in
        withBytes(source) { lg_execute(interpreter, path, $0, budget.guardBudget, &bytes) }
      })
    return LuaValueCodec.value(bytes.buffer) ?? .null
  }

  /// Fills the script's global `settings`.
  package func setSettings(_ settings: [String: LuaValue]) throws(LuaError) {
    try check(withBytes(LuaValueCodec.tableContent(settings)) { lg_set_settings(interpreter, $0) })
  }

  /// Calls the function at a dotted path of the plugin's table; `.refused` when there is none.
  package func call(_ function: String, _ arguments: [LuaValue] = [], budget: LuaBudget = .hook)
    throws(LuaError) -> LuaValue
  {
    var bytes = LGBytes()
    try check(
      withBytes(function) { path in
        withBytes(LuaValueCodec.arrayContent(arguments)) {
          lg_call(interpreter, path, $0, budget.guardBudget, &bytes)
        }
      })
    return LuaValueCodec.value(bytes.buffer) ?? .null
  }

  /// Allows `require("yutu.host")`, on which `yutu.test` stands.
  package func allowTests() throws(LuaError) { try check(lg_allow_tests(interpreter)) }

  // MARK: For tests

  /// From the n-th allocation on, all fail; nil ends it.
  package func failAllocations(from nth: Int?) { lg_fail_allocations(interpreter, UInt64(nth ?? 0)) }

  /// A field table's content through Lua and back.
  package func roundTrip(_ content: [UInt8]) throws(LuaError) -> [UInt8] {
    var bytes = LGBytes()
    try check(withBytes(content) { lg_round_trip(interpreter, $0, &bytes) })
    return Array(bytes.buffer)
  }

  // MARK: Helpers

  func check(_ status: LGStatus) throws(LuaError) {
    if status != LG_OK { throw LuaError(lg_error(interpreter)) }
  }
}

func withBytes<Result>(_ text: String, _ body: (LGBytes) -> Result) -> Result {
  var text = text
  return text.withUTF8 { body(LGBytes(bytes: $0.baseAddress, count: $0.count)) }
}

func withBytes<Result>(_ bytes: [UInt8], _ body: (LGBytes) -> Result) -> Result {
  bytes.withUnsafeBufferPointer { body(LGBytes(bytes: $0.baseAddress, count: $0.count)) }
}

extension LGBytes {
  package init(_ buffer: UnsafeRawBufferPointer) {
    self.init(bytes: buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), count: buffer.count)
  }

  package var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes, count: count) }
}
