/// The plugins in force, on the core loop: puts changes into the broker's seams. Knows no folder and no
/// thread.

internal import AMQPWire
package import BrokerCore
internal import Logging
internal import LuaRuntime

package final class PluginHost {
  package struct Status: Sendable {
    package let name: String
    package let about: String
    package let inForce: Bool
    /// Why the newest text of the file is not in force.
    package let problem: String?
  }

  let broker: Broker
  let options: PluginOptions
  private let place: HookPlace
  /// All scripts' `shared`: it outlives every version of them.
  private let shared = LuaShared()
  private let metrics = ScriptMetrics()
  private let expressions: Expressions?
  private var plugins: [String: Plugin] = [:]
  private var installed: [String: InstalledHooks] = [:]
  private var problems: [String: String] = [:]
  private let nativeAuthenticators: [any Authenticator]

  /// - Parameter seat: without one, hooks cannot wait for the network
  package init(_ broker: Broker, _ options: PluginOptions, seat: LoopSeat? = nil) {
    self.broker = broker
    self.options = options
    place = HookPlace(broker: broker, seat: seat)
    nativeAuthenticators = broker.hooks.authenticators
    expressions = Expressions(options)
    if let expressions {
      try? broker.install(headerMatcher: Expressions.matcherName) { (binding) throws(ProtocolError) in
        try expressions.matcher(binding.arguments)
      }
    }
  }

  package var statuses: [Status] {
    Set(plugins.keys).union(problems.keys).sorted().map { name in
      Status(
        name: name, about: plugins[name]?.manifest.about ?? "",
        inForce: plugins[name].map(isEnabled) ?? false,
        problem: problems[name])
    }
  }

  /// The files of the plugins that are loaded, enabled or not.
  package var files: [String: PluginFile] { plugins.mapValues(\.file) }

  /// What plugins that are about to change want to see of what exists, to be taken in turns of the loop.
  func survey(for changes: PluginChanges) -> BindingSurvey {
    let (types, matchers) = changes.wanted
    return BindingSurvey(of: broker, types: types, matchers: matchers)
  }

  /// Puts all that was loaded into force, between two read batches; what is refused keeps its old version.
  /// - Returns: what changed; the number of the generation is not known here
  @discardableResult
  package func apply(_ changes: PluginChanges) -> ReloadReport {
    var report = ReloadReport(generation: 0, changed: [], removed: [], problems: [:])
    for name in changes.healed { problems[name] = nil }
    for problem in changes.problems {
      refuse(problem.name, problem.reason)
      report.problems[problem.name] = problem.reason
    }
    for name in changes.removed where remove(name) { report.removed.append(name) }
    for plugin in changes.take() {
      if let reason = install(plugin) {
        refuse(plugin.name, reason)
        report.problems[plugin.name] = reason
      } else {
        report.changed.append(plugin.name)
      }
    }
    if !report.changed.isEmpty || !report.removed.isEmpty { assemble() }
    return report
  }

  private func refuse(_ name: String, _ reason: String) {
    problems[name] = reason
    let old = plugins[name] == nil ? "" : "; the version before stays in force"
    broker.logger.error("plugin \(name): \(reason)\(old)")
  }

  func isEnabled(_ plugin: Plugin) -> Bool { options.enabled[plugin.name] ?? plugin.manifest.enabled }

  /// Whether the exchange type of this name is this plugin's: one that waits to be enabled may be called like a
  /// built-in type.
  private func ownsExchangeType(_ plugin: Plugin?) -> Bool {
    plugin.map { $0.manifest.isExchangeType && isEnabled($0) } ?? false
  }

  private func ownsMatcher(_ plugin: Plugin?) -> Bool {
    plugin.map { $0.manifest.matcher != nil && isEnabled($0) } ?? false
  }

  /// - Returns: why it cannot be
  private func install(_ plugin: Plugin) -> String? {
    let name = plugin.name
    let old = plugins[name]
    let hooks = InstalledHooks(plugin, self)
    plugin.enter(shared, hooks)
    do throws(LuaError) {
      try handOver(from: old, to: plugin)
      if isEnabled(plugin) { try hooks.make(place) }
    } catch {
      return error.message.contains(".lua:") ? error.message : "\(plugin.file.path): \(error.message)"
    }
    if let reason = installExchangeType(plugin) ?? installMatcher(plugin) { return reason }
    if let old { plugin.adoptMeters(of: old) }
    plugin.countTime(by: broker.clock)
    plugin.prepared = PreparedBindings()
    let before = installed.updateValue(hooks, forKey: name)
    before?.end()
    plugins[name] = plugin
    hooks.begin(place, after: before)
    problems[name] = nil
    let state = !isEnabled(plugin) ? "waits to be enabled" : old == nil ? "is in force" : "is in force anew"
    broker.logger.info("plugin \(name) (\(plugin.file.path)) \(state)")
    return nil
  }

  private func handOver(from old: Plugin?, to plugin: Plugin) throws(LuaError) {
    guard let old, old.manifest.saves, plugin.manifest.restores else { return }
    let state = try old.lua.call("save", budget: options.hookBudget)
    _ = try plugin.lua.call("restore", [state], budget: options.hookBudget)
  }

  /// - Returns: why it cannot be
  private func installExchangeType(_ plugin: Plugin) -> String? {
    let name = ByteString(plugin.name)
    guard ownsExchangeType(plugin) else {
      if ownsExchangeType(plugins[plugin.name]) { broker.withdraw(exchangeType: name) }
      return nil
    }
    guard ownsExchangeType(plugins[plugin.name]) || !broker.knowsExchangeType(name) else {
      return "'\(plugin.name)' is a built-in exchange type"
    }
    do throws(ProtocolError) {
      try broker.install(
        exchangeType: name,
        { (exchange) throws(ProtocolError) in try ScriptedExchange(plugin, for: exchange) },
        existing: { (exchange) throws(ProtocolError) in
          if let prepared = plugin.prepared.exchanges[ExchangePlace(exchange)] {
            return try ScriptedExchange(plugin, for: exchange, prepared, of: exchange.type)
          }
          let type = try ScriptedExchange(plugin, for: exchange)
          for binding in exchange.orderedBindings { try type.add(binding, isNew: false) }
          return type
        })
      return nil
    } catch {
      return "\(plugin.file.path): what exists already was refused: \(error.text)"
    }
  }

  private static let standardMatchers: Set<String> = ["all", "any", "all-with-x", "any-with-x", "lua"]

  /// - Returns: why it cannot be
  private func installMatcher(_ plugin: Plugin) -> String? {
    let name = ByteString(plugin.name)
    guard ownsMatcher(plugin) else {
      if ownsMatcher(plugins[plugin.name]) { broker.withdraw(headerMatcher: name) }
      return nil
    }
    guard !Self.standardMatchers.contains(plugin.name) else {
      return "'\(plugin.name)' is a value of x-match that is built in"
    }
    do throws(ProtocolError) {
      try broker.install(headerMatcher: name) { (binding) throws(ProtocolError) in
        let place = BindingPlace(exchange: ExchangePlace(binding.source), sequence: binding.sequence)
        if let prepared = plugin.prepared.matchers[place] { return ScriptedMatcher(plugin, prepared) }
        return try ScriptedMatcher(plugin, binding.arguments)
      }
      return nil
    } catch {
      return "\(plugin.file.path): what exists already was refused: \(error.text)"
    }
  }

  private func remove(_ name: String) -> Bool {
    problems[name] = nil
    guard let plugin = plugins.removeValue(forKey: name) else { return false }
    installed.removeValue(forKey: name)?.end()
    if ownsExchangeType(plugin) { broker.withdraw(exchangeType: ByteString(name)) }
    if ownsMatcher(plugin) { broker.withdraw(headerMatcher: ByteString(name)) }
    broker.logger.info(
      "plugin \(name) was removed; exchanges and bindings that need it keep it until the broker ends")
    return true
  }

  /// Fills the broker's seams anew, in the order that the configuration and the plugins ask for.
  private func assemble() {
    let all = installed.keys.sorted().compactMap { installed[$0] }
    let hooks = broker.hooks
    func filters(_ stage: FilterStageName) -> [any MessageFilter] {
      all.compactMap { $0.filters[stage] }.sorted { ($0.order, $0.name) < ($1.order, $1.name) }
    }
    hooks.publishFilters = filters(.publish)
    hooks.enqueueFilters = filters(.enqueue)
    hooks.deliverFilters = filters(.deliver)
    hooks.declarePolicies = all.compactMap(\.declarePolicy)
    hooks.deadLetterPolicies = all.compactMap(\.deadLetterPolicy)
    hooks.listeners = all.compactMap(\.events)
    hooks.authorizers = all.compactMap(\.authorizer)
    var known: [String: any Authenticator] = [:]
    for authenticator in nativeAuthenticators + all.compactMap(\.authenticator) {
      known[authenticator.name] = authenticator
    }
    let chain = options.authChain ?? nativeAuthenticators.map(\.name) + all.compactMap(\.authenticator?.name)
    hooks.authenticators = chain.compactMap { known[$0] }
    for name in chain where known[name] == nil {
      broker.logger.warning("auth.chain names '\(name)', which is no enabled plugin with authenticate")
    }
    hooks.saslMechanisms = [:]
    for installed in all {
      for (name, mechanism) in installed.mechanisms { hooks.saslMechanisms[ByteString(name)] = mechanism }
    }
    broker.hooksChanged()
  }

  // MARK: reports

  package func reports() -> [PluginReport] {
    Set(plugins.keys).union(problems.keys).sorted().map { name in
      let plugin = plugins[name]
      return PluginReport(
        name: name, about: plugin?.manifest.about ?? "", path: plugin?.file.path ?? "",
        isInForce: plugin.map(isEnabled) ?? false, isEnabled: plugin.map(isEnabled) ?? false,
        hooks: plugin?.manifest.hooks ?? [], problem: problems[name],
        memoryBytes: plugin?.lua.memoryBytes ?? 0,
        settings: plugin?.settings ?? [:], usage: plugin?.usage ?? [])
    }
  }

  package func series() -> [ScriptSeries] { metrics.all }

  /// Scripts are asked, but leave no trace: what they share stays, and nothing is published.
  func dryly<Result>(_ body: () -> Result) -> Result {
    for plugin in plugins.values { plugin.lua.dry = true }
    defer { for plugin in plugins.values { plugin.lua.dry = false } }
    return body()
  }

  // MARK: what scripts ask for

  func log(_ plugin: String, _ level: LuaLogLevel, _ text: String) {
    broker.logger.log(level: level.logLevel, "plugin \(plugin): \(text)")
  }

  func series(_ plugin: String, _ kind: LuaMetric, _ name: String, _ labels: [String: String]) -> UInt64? {
    metrics.series(ScriptMetrics.Key(plugin: plugin, name: name, labels: labels), kind)
  }

  func record(_ series: UInt64, _ value: Double) { metrics.record(series, value) }
}

/// What one plugin has in the broker's seams.
final class InstalledHooks: PluginSurroundings {
  private let plugin: Plugin
  private unowned let host: PluginHost
  private(set) var filters: [FilterStageName: ScriptedFilter] = [:]
  private(set) var declarePolicy: ScriptedDeclarePolicy?
  private(set) var deadLetterPolicy: ScriptedDeadLetterPolicy?
  private(set) var events: ScriptedEvents?
  private(set) var authenticator: ScriptedAuthenticator?
  private(set) var authorizer: ScriptedAuthorizer?
  private(set) var mechanisms: [String: ScriptedMechanism] = [:]
  private var timers: ScriptedTimers?

  init(_ plugin: Plugin, _ host: PluginHost) {
    self.plugin = plugin
    self.host = host
  }

  /// - Throws: if the script lacks what its table says
  func make(_ place: HookPlace) throws(LuaError) {
    let manifest = plugin.manifest
    for (stage, filter) in manifest.filters { filters[stage] = try ScriptedFilter(plugin, stage, filter) }
    if manifest.declares { declarePolicy = ScriptedDeclarePolicy(plugin) }
    if manifest.deadLetters { deadLetterPolicy = try ScriptedDeadLetterPolicy(plugin) }
    if !manifest.events.isEmpty { events = ScriptedEvents(plugin, place) }
    if manifest.authenticates { authenticator = ScriptedAuthenticator(plugin, place) }
    if manifest.authorizes { authorizer = ScriptedAuthorizer(plugin, place) }
    for name in manifest.saslMechanisms { mechanisms[name] = ScriptedMechanism(plugin, name, place) }
  }

  /// The plugin is in force now.
  func begin(_ place: HookPlace, after old: InstalledHooks?) {
    guard !plugin.manifest.timers.isEmpty, host.isEnabled(plugin) else { return }
    timers = ScriptedTimers(plugin, place, after: old?.timers)
  }

  func end() { timers?.stop() }

  // MARK: what the script asks for

  func log(_ level: LuaLogLevel, _ text: String) { host.log(plugin.name, level, text) }

  func series(_ kind: LuaMetric, _ name: String, _ labels: [String: String]) -> UInt64? {
    host.series(plugin.name, kind, name, labels)
  }

  func record(_ series: UInt64, _ value: Double) { host.record(series, value) }

  func publish(_ fields: LuaBytes, copyOf message: Message?, in vhost: VirtualHost?) -> String? {
    do throws(ProtocolError) {
      return try ScriptedPublish(try FieldReader.fields(of: fields.buffer), copyOf: message)
        .perform(in: vhost, of: host.broker)
    } catch {
      return error.text
    }
  }
}

extension LuaLogLevel {
  fileprivate var logLevel: Logger.Level {
    switch self {
    case .debug: .debug
    case .info: .info
    case .warning: .warning
    case .error: .error
    }
  }
}
