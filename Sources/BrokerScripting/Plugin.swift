/// A plugin in force: one file, its interpreter and what it says of itself. Knows no folder.

internal import AMQPWire
internal import BrokerCore
package import LuaRuntime

package final class Plugin {
  package let file: PluginFile
  package let manifest: Manifest
  let lua: LuaInterpreter
  private let journal: PluginJournal
  private var allowance = LoopAllowance()
  private var clock: (any Clock)?

  package var name: String { file.name }

  /// Reads, compiles, evaluates, checks and tests: for the thread that watches the folder.
  /// - Throws: what is wrong, with file and line where there is one
  package init(_ file: PluginFile, settings: [String: LuaValue], limits: LuaLimits) throws(LuaError) {
    self.file = file
    journal = PluginJournal()
    lua = try Self.interpreter(limits, host: journal, for: file)
    manifest = try Manifest(try lua.evaluate(file.source, path: file.path))
    try lua.setSettings(try manifest.settings(with: settings, of: file.name))
    if let tests = file.tests { try Self.run(tests, of: file, settings: settings, limits: limits) }
  }

  private static func interpreter(_ limits: LuaLimits, host: (any LuaHost)?, for file: PluginFile)
    throws(LuaError) -> LuaInterpreter
  {
    guard let lua = LuaInterpreter(limits: limits, host: host) else {
      throw LuaError(.memory, "\(file.path): the memory limit does not hold the libraries")
    }
    for module in file.modules { try lua.addModule(module.name, path: module.path, source: module.source) }
    return lua
  }

  /// The plugin's own tests, in an interpreter of their own that is thrown away.
  /// - Throws: the first test that failed, or what the file itself failed with
  package static func run(
    _ tests: PluginFile.Text, of file: PluginFile, settings: [String: LuaValue], limits: LuaLimits
  ) throws(LuaError) {
    let lua = try interpreter(limits, host: nil, for: file)
    let manifest = try Manifest(try lua.evaluate(file.source, path: file.path))
    try lua.setSettings(try manifest.settings(with: settings, of: file.name))
    try lua.allowTests()
    for (name, source) in testModules {
      try lua.addModule(name, path: "\(name.replacing(".", with: "/")).lua", source: source)
    }
    _ = try lua.execute(tests.source, path: tests.path)
    let failed = try lua.execute("return require('yutu.test').failures()", path: "yutu")
    if case .list(let texts) = failed, case .text(let text)? = texts.first {
      throw LuaError(.runtime, "\(text) (\(texts.count) of its tests failed)")
    }
  }

  // MARK: on the core loop

  func enter(logging report: @escaping (LuaLogLevel, String) -> Void) { journal.report = report }

  /// From now on the loop's time counts. It does not while all bindings that exist are made anew: they may be
  /// many, and a plugin that is cut off then could never be put into force.
  func countTime(by clock: any Clock) { self.clock = clock }

  /// Every call into the script goes through here, so that one that wastes the loop's time is cut off.
  // hot:
  func run<Result>(_ body: () throws(LuaError) -> Result) throws(LuaError) -> Result {
    if allowance.mayBeShut, let clock, allowance.isShut(at: clock.nanoseconds) {
      throw LuaError(.time, "the plugin is cut off for a time: it took more than 100 ms of a second")
    }
    defer {
      let nanoseconds = lua.lastCallNanoseconds
      if nanoseconds != 0 { charge(nanoseconds) }
    }
    return try body()
  }

  private func charge(_ nanoseconds: UInt64) {
    guard let clock, let pause = allowance.add(nanoseconds, at: clock.nanoseconds) else { return }
    journal.report(
      .warning, "took more than 100 ms of a second and is cut off for \(pause / 1_000_000_000) s")
  }

  /// A script's denial is a 406 with its text; a script's failure is one that says so.
  func refusal(of what: String, _ error: LuaError) -> ProtocolError {
    guard error.kind != .refused else { return ProtocolError(.preconditionFailed, error.message) }
    report(error, what)
    return ProtocolError(.preconditionFailed, "exchange type '\(name)' failed: \(error.message)")
  }

  func report(_ error: LuaError, _ cause: String) { journal.log(.error, "\(error.message) (\(cause))") }
}

/// What scripts and their failures say, at most so many lines a second; then a count of what was left out.
private final class PluginJournal: LuaHost {
  static let linesASecond = 10
  var report: (LuaLogLevel, String) -> Void = { _, _ in }
  private var window = ContinuousClock.now
  private var lines = 0

  func log(_ level: LuaLogLevel, _ text: String) {
    let now = ContinuousClock.now
    if now - window > .seconds(1) {
      if lines > Self.linesASecond {
        report(.warning, "\(lines - Self.linesASecond) more lines were left out")
      }
      window = now
      lines = 0
    }
    lines += 1
    if lines <= Self.linesASecond { report(level, text) }
  }
}
