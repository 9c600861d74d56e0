/// The plugins in force, on the core loop: puts changes into the broker's seams. Knows no folder and no
/// thread.

internal import AMQPWire
package import BrokerCore
internal import Logging
internal import LuaRuntime

package final class PluginHost {
  package struct Status {
    package let name: String
    package let about: String
    package let inForce: Bool
    /// Why the newest text of the file is not in force.
    package let problem: String?
  }

  private let broker: Broker
  private let options: PluginOptions
  private var plugins: [String: Plugin] = [:]
  private var problems: [String: String] = [:]

  package init(_ broker: Broker, _ options: PluginOptions) {
    self.broker = broker
    self.options = options
  }

  package var statuses: [Status] {
    Set(plugins.keys).union(problems.keys).sorted().map { name in
      Status(
        name: name, about: plugins[name]?.manifest.about ?? "",
        inForce: plugins[name].map(isEnabled) ?? false,
        problem: problems[name])
    }
  }

  /// Puts all that was loaded into force, between two read batches; what is refused keeps its old version.
  package func apply(_ changes: PluginChanges) {
    for name in changes.healed { problems[name] = nil }
    for problem in changes.problems {
      problems[problem.name] = problem.reason
      let old = plugins[problem.name] == nil ? "" : "; the version before stays in force"
      broker.logger.error("plugin \(problem.name): \(problem.reason)\(old)")
    }
    for name in changes.removed { remove(name) }
    for plugin in changes.take() { install(plugin) }
  }

  private func isEnabled(_ plugin: Plugin) -> Bool { options.enabled[plugin.name] ?? plugin.manifest.enabled }

  /// Whether the exchange type of this name is this plugin's: one that waits to be enabled may be called like a
  /// built-in type.
  private func ownsExchangeType(_ plugin: Plugin?) -> Bool {
    plugin.map { $0.manifest.isExchangeType && isEnabled($0) } ?? false
  }

  private func install(_ plugin: Plugin) {
    let logger = broker.logger
    let name = plugin.name
    plugin.enter { level, text in logger.log(level: level.logLevel, "plugin \(name): \(text)") }
    if ownsExchangeType(plugin), let reason = installExchangeType(plugin) {
      problems[name] = reason
      let old = plugins[name] == nil ? "" : "; the version before stays in force"
      return logger.error("plugin \(name): \(reason)\(old)")
    }
    if ownsExchangeType(plugins[name]), !ownsExchangeType(plugin) {
      broker.withdraw(exchangeType: ByteString(name))
    }
    plugin.countTime(by: broker.clock)
    let isNew = plugins[name] == nil
    plugins[name] = plugin
    problems[name] = nil
    let state = !isEnabled(plugin) ? "waits to be enabled" : isNew ? "is in force" : "is in force anew"
    logger.info("plugin \(name) (\(plugin.file.path)) \(state)")
  }

  /// - Returns: why it cannot be
  private func installExchangeType(_ plugin: Plugin) -> String? {
    let name = ByteString(plugin.name)
    guard ownsExchangeType(plugins[plugin.name]) || !broker.knowsExchangeType(name) else {
      return "'\(plugin.name)' is a built-in exchange type"
    }
    do throws(ProtocolError) {
      try broker.install(exchangeType: name) { (exchange) throws(ProtocolError) -> any ExchangeType in
        try ScriptedExchange(plugin, for: exchange)
      }
      return nil
    } catch {
      return "\(plugin.file.path): what exists already was refused: \(error.text)"
    }
  }

  private func remove(_ name: String) {
    problems[name] = nil
    guard let plugin = plugins.removeValue(forKey: name) else { return }
    if ownsExchangeType(plugin) { broker.withdraw(exchangeType: ByteString(name)) }
    broker.logger.info(
      "plugin \(name) was removed; exchanges that have its type keep it until the broker ends")
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
