/// What the broker tells of its plugins: to the HTTP API, the metrics and the command line. Knows no HTTP.

package import LuaRuntime

package struct PluginReport: Sendable {
  package var name: String
  package var about: String
  package var path: String
  /// Its hooks are called.
  package var isInForce: Bool
  /// What the operator or the plugin itself says.
  package var isEnabled: Bool
  /// "exchange", "filters.publish", ….
  package var hooks: [String]
  /// Why the newest text of the file is not in force.
  package var problem: String?
  package var memoryBytes: Int
  package var settings: [String: LuaValue]
  package var usage: [HookUsage]
}

/// The calls of one hook since the plugin came into force for the first time: reloads do not reset it.
package struct HookUsage: Sendable {
  package var hook: String
  package var calls: UInt64 = 0
  package var errors: UInt64 = 0
  /// Errors that were limits: instructions, time, memory, or cut off for a time.
  package var limitHits: UInt64 = 0
  /// Calls that took at most `bounds[i]`, each call counted once; the last count is of all longer ones.
  package var counts: [UInt64] = Array(repeating: 0, count: HookUsage.bounds.count + 1)
  package var totalNanoseconds: UInt64 = 0

  /// In nanoseconds: 1, 2, 5, 10, … microseconds to 100 ms.
  package static let bounds: [UInt64] = [
    1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000,
    10_000_000, 20_000_000, 50_000_000, 100_000_000,
  ]

  package init(hook: String) { self.hook = hook }
}

/// A series that a script keeps with `metrics`.
package struct ScriptSeries: Sendable {
  package enum Value: Sendable {
    case counter(Double)
    case gauge(Double)
    /// Counts by `bounds`, each observation counted once; the last count is of all larger ones.
    case histogram(bounds: [Double], counts: [UInt64], sum: Double)
  }
  package var plugin: String
  package var name: String
  package var labels: [String: String]
  package var value: Value
}

/// One switch of plugins.
package struct GenerationReport: Sendable {
  package var number: Int
  /// Seconds since 1970.
  package var time: Double
  /// "start", "files changed", "reload asked for", "rolled back to 3".
  package var cause: String
  package var isCurrent: Bool
  /// Each plugin and a short hash of its files.
  package var plugins: [String: String]
}

/// What a reload or a roll back did.
package struct ReloadReport: Sendable {
  package var generation: Int
  package var changed: [String]
  package var removed: [String]
  /// By plugin: why its version before stays in force.
  package var problems: [String: String]
}

package struct ExplainRequest: Sendable {
  package var vhost = "/"
  package var exchange: String
  package var routingKey: String
  /// As JSON has them; names as in the Lua API ("content_type", …).
  package var properties: [String: LuaValue] = [:]
  package var headers: [String: LuaValue] = [:]
  package var body: [UInt8] = []
  package var user = "guest"

  package init(exchange: String, routingKey: String) {
    self.exchange = exchange
    self.routingKey = routingKey
  }
}

package struct ExplainReport: Sendable {
  package struct Step: Sendable {
    /// "filter", "exchange", "binding", "queue".
    package var kind: String
    package var name: String
    /// One sentence.
    package var text: String
  }
  package var steps: [Step]
  package var queues: [String]
  /// "routed", "unroutable", "dropped", "denied", "delayed".
  package var outcome: String
}

/// What an operator may ask of the plugins; safe to call from any task.
package protocol PluginControl: Sendable {
  func reports() async throws -> [PluginReport]
  func series() async throws -> [ScriptSeries]
  func generations() async throws -> [GenerationReport]
  /// Looks at the folder now; files that did not change stay as they are.
  func reload() async throws -> ReloadReport
  /// - Throws: `PluginControlError` if the generation is not kept
  func rollBack(to generation: Int) async throws -> ReloadReport
  /// - Throws: `PluginControlError` for an unknown vhost or exchange
  func explain(_ request: ExplainRequest) async throws -> ExplainReport
}

package struct PluginControlError: Error, Sendable, CustomStringConvertible {
  package var description: String
  package init(_ description: String) { self.description = description }
}
