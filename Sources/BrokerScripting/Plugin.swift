/// A plugin in force: one file, its interpreter and what it says of itself. Knows no folder.

internal import AMQPWire
internal import BrokerCore
package import LuaRuntime

package final class Plugin {
  package let file: PluginFile
  package let manifest: Manifest
  package let settings: [String: LuaValue]
  let lua: LuaInterpreter
  let routeBudget: LuaBudget
  let hookBudget: LuaBudget
  private let journal: PluginJournal
  private var allowance: LoopAllowance
  private var clock: (any Clock)?
  private var meters: [String: HookMeter] = [:]
  /// What exists already and was given to the script before it came to the core loop.
  var prepared = PreparedBindings()

  package var name: String { file.name }

  /// Reads, compiles, evaluates, checks and tests: away from the core loop.
  /// - Throws: what is wrong, with file and line where there is one
  package init(_ file: PluginFile, _ options: PluginOptions) throws(LuaError) {
    self.file = file
    let given = options.settings[file.name] ?? [:]
    var limits = options.limits
    var (lua, journal) = try Self.interpreter(limits, for: file)
    var manifest = try Manifest(try lua.evaluate(file.source, path: file.path))
    if let bytes = manifest.limits.memoryBytes, bytes < limits.memoryBytes {
      // It asks for less than it may have, and is only known to once it runs: so it begins again.
      limits.memoryBytes = Int(bytes)
      (lua, journal) = try Self.interpreter(limits, for: file)
      manifest = try Manifest(try lua.evaluate(file.source, path: file.path))
    }
    settings = try manifest.settings(with: given, of: file.name)
    try lua.settle(&manifest, settings)
    self.lua = lua
    self.journal = journal
    self.manifest = manifest
    routeBudget = options.routeBudget.capped(by: manifest.limits)
    hookBudget = options.hookBudget.capped(by: manifest.limits, isRoute: false)
    allowance = LoopAllowance(nanoseconds: options.loopNanosecondsPerSecond)
    if let tests = file.tests { try Self.run(tests, of: file, limits: limits) }
  }

  private static func interpreter(_ limits: LuaLimits, for file: PluginFile)
    throws(LuaError) -> (LuaInterpreter, PluginJournal)
  {
    let journal = PluginJournal()
    return (try interpreter(limits, host: journal, for: file), journal)
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

  /// The plugin's own tests, in an interpreter of their own that is thrown away. They begin with the defaults of its
  /// settings: what the operator says is no fault of the plugin's.
  /// - Throws: the first test that failed, or what the file itself failed with
  package static func run(
    _ tests: PluginFile.Text, of file: PluginFile, limits: LuaLimits
  ) throws(LuaError) {
    let lua = try interpreter(limits, host: nil, for: file)
    let manifest = try Manifest(try lua.evaluate(file.source, path: file.path))
    try lua.setSettings(try manifest.settings(with: [:], of: file.name))
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

  /// The plugin comes to the loop: it may write to the log, publish, and see what the others share.
  func enter(_ shared: LuaShared, _ surroundings: any PluginSurroundings) {
    lua.shared = shared
    journal.surroundings = surroundings
  }

  /// From now on the loop's time counts. It does not while all bindings that exist are made anew: they may be
  /// many, and a plugin that is cut off then could never be put into force.
  func countTime(by clock: any Clock) { self.clock = clock }

  func meter(_ hook: String) -> HookMeter {
    if let meter = meters[hook] { return meter }
    let meter = HookMeter(hook)
    meters[hook] = meter
    return meter
  }

  /// Goes on counting where the version before it ended.
  func adoptMeters(of old: Plugin) {
    for (hook, meter) in old.meters { self.meter(hook).add(meter.usage) }
  }

  var usage: [HookUsage] { meters.values.map(\.usage).sorted { $0.hook < $1.hook } }

  /// Every call into the script goes through here: it is counted, and one that wastes the loop's time is cut
  /// off.
  // hot:
  @inline(__always)
  func run<Result>(
    _ meter: HookMeter, publishing message: Message? = nil, in vhost: VirtualHost? = nil,
    _ body: () throws(LuaError) -> Result
  ) throws(LuaError) -> Result {
    let began = meter.begin(clock)
    if allowance.mayBeShut, let clock, allowance.isShut(at: clock.nanoseconds) {
      meter.failed(isLimit: true)
      throw LuaError(
        .time, "the plugin is cut off for a time: it took more than its share of the loop's time")
    }
    journal.message = message.map { Unmanaged.passUnretained($0) }
    journal.vhost = vhost.map { Unmanaged.passUnretained($0) }
    defer {
      journal.message = nil
      journal.vhost = nil
      let nanoseconds = lua.lastCallNanoseconds
      meter.end(began, long: nanoseconds, clock)
      if nanoseconds != 0 { charge(nanoseconds) }
    }
    do throws(LuaError) {
      return try body()
    } catch {
      if error.kind != .refused { meter.failed(isLimit: error.isLimit) }
      throw error
    }
  }

  private func charge(_ nanoseconds: UInt64) {
    guard let clock, let pause = allowance.add(nanoseconds, at: clock.nanoseconds) else { return }
    // The one line that an operator needs: it does not count among the plugin's own.
    journal.surroundings?.log(
      .warning, "took more than its share of a second and is cut off for \(pause / 1_000_000_000) s")
  }

  /// A script's denial is a 406 with its text; a script's failure is one that says so.
  /// - Parameter kind: what the plugin is here
  func refusal(of what: String, _ error: LuaError, as kind: String = "exchange type") -> ProtocolError {
    guard error.kind != .refused else { return ProtocolError(.preconditionFailed, error.message) }
    report(error, what)
    return ProtocolError(.preconditionFailed, "\(kind) '\(name)' failed: \(error.message)")
  }

  func log(_ level: LuaLogLevel, _ text: String) { journal.log(level, text) }

  /// One line: what, where, the way there, and what caused it. Never a body.
  func report(_ error: LuaError, _ cause: String, on message: Message? = nil) {
    var text = "\(error.message) (\(cause)"
    if let message {
      text += ", exchange '\(ByteString(message.exchange))', routing key '\(ByteString(message.routingKey))'"
      let headers = message.headerTable()
      if !headers.isEmpty { text += ", headers \(FieldValue.table(headers).shown.prefix(500))" }
    }
    text += ")"
    let steps = error.traceback.split(separator: "\n").dropFirst().prefix(8).map { $0.trimmedOfBlanks }
    if !steps.isEmpty { text += "; called from " + steps.joined(separator: " < ") }
    journal.log(.error, text)
  }
}

extension Substring {
  fileprivate var trimmedOfBlanks: Substring { drop { $0 == " " || $0 == "\t" } }
}

extension LuaInterpreter {
  /// Gives the script its settings, and asks what in its table depends on them.
  func settle(_ manifest: inout Manifest, _ settings: [String: LuaValue]) throws(LuaError) {
    try setSettings(settings)
    try manifest.settleMatches { (path) throws(LuaError) in try call(path, [.table(settings)]) }
  }
}

extension LuaBudget {
  /// What a plugin asks for, if it is less than the operator allows.
  fileprivate func capped(by limits: LimitsManifest, isRoute: Bool = true) -> LuaBudget {
    var budget = self
    if isRoute {
      if let most = limits.instructions {
        budget.instructions = min(budget.instructions, UInt64(clamping: most))
      }
      if let most = limits.milliseconds { budget.nanoseconds = min(budget.nanoseconds, UInt64(most * 1e6)) }
    }
    return budget
  }
}

/// What a plugin on the core loop may reach through the host.
protocol PluginSurroundings: AnyObject {
  func log(_ level: LuaLogLevel, _ text: String)
  /// - Returns: why it cannot be published
  func publish(_ fields: LuaBytes, copyOf message: Message?, in vhost: VirtualHost?) -> String?
  /// - Returns: nil if there are too many, or one of that name is of another kind
  func series(_ kind: LuaMetric, _ name: String, _ labels: [String: String]) -> UInt64?
  func record(_ series: UInt64, _ value: Double)
}

/// What scripts and their failures say, at most so many lines a second; then a count of what was left out.
private final class PluginJournal: LuaHost {
  static let linesASecond = 10
  weak var surroundings: (any PluginSurroundings)?
  /// What the hook at hand is about; whoever calls the hook holds both.
  var message: Unmanaged<Message>?
  var vhost: Unmanaged<VirtualHost>?
  private var window = ContinuousClock.now
  private var lines = 0

  func log(_ level: LuaLogLevel, _ text: String) {
    let now = ContinuousClock.now
    if now - window > .seconds(1) {
      if lines > Self.linesASecond {
        surroundings?.log(.warning, "\(lines - Self.linesASecond) more lines were left out")
      }
      window = now
      lines = 0
    }
    lines += 1
    if lines <= Self.linesASecond { surroundings?.log(level, text) }
  }

  func publish(_ fields: LuaBytes, copiesMessage: Bool) -> LuaPublishRefusal? {
    guard let surroundings else { return LuaPublishRefusal("the plugin is not in force yet") }
    let original = copiesMessage ? message?.takeUnretainedValue() : nil
    return surroundings.publish(fields, copyOf: original, in: vhost?.takeUnretainedValue()).map {
      LuaPublishRefusal($0)
    }
  }

  func metricSeries(_ kind: LuaMetric, _ name: String, labels: [String: String]) -> UInt64? {
    surroundings?.series(kind, name, labels)
  }

  func metricAdd(_ series: UInt64, _ value: Double) { surroundings?.record(series, value) }
}
