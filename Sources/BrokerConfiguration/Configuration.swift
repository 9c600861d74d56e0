/// What the operator says: the values of the configuration file, with defaults. Knows no file's syntax.

package import BrokerCore
package import BrokerScripting
package import LuaRuntime

package struct Configuration: Sendable {
  package var host = "127.0.0.1"
  package var port = 5672
  /// The HTTP API is served.
  package var http = true
  /// Nil: where AMQP is.
  package var httpHost: String?
  package var httpPort = 15_672
  package var logLevel = "info"
  /// Nil: where the system keeps a user's data; `:memory:` keeps nothing.
  package var dataDir: String?
  /// When a message counts as kept: `fsync` or `os`.
  package var durability = "fsync"
  /// Octets of the disk that the store leaves free.
  package var diskFreeLimit = 268_435_456
  /// A file that is loaded at each start.
  package var definitions: String?
  package var settings = Settings()
  package var authChain: [String]?
  package var plugins = "plugins"
  package var clientExpressions = false
  package var memoryBytes = LuaLimits(seed: 0).memoryBytes
  /// Of routes, filters and matchers; other hooks have ten times as much.
  package var budget = LuaBudget.route
  package var loopMillisecondsPerSecond = 100.0
  package var enabled: [String: Bool] = [:]
  package var pluginSettings: [String: [String: LuaValue]] = [:]
  /// What the file names, by key: who asks whether something was said.
  package var said: Set<String> = []

  package init() {}

  /// Those that have a section, sorted.
  package var pluginNames: [String] {
    said.filter { $0.hasPrefix("plugins.") }.map { String($0.dropFirst("plugins.".count)) }.sorted()
  }

  /// Sets a key as the file would; nil changes nothing.
  /// - Parameter option: how the one who set it calls it
  /// - Throws: if the value does not fit
  package mutating func set(_ path: String, to value: LuaValue?, as option: String)
    throws(ConfigurationError)
  {
    guard let value else { return }
    guard let key = ConfigurationKey.all.first(where: { $0.path == path }) else {
      preconditionFailure("options are for keys that there are")
    }
    guard key.set(&self, value) else {
      throw ConfigurationError(problems: ["\(option) \(value.shown): expected \(key.expected)"])
    }
    said.insert(path)
  }

  /// What an operator wants to know of it.
  package var inForce: [String: LuaValue] {
    [
      "listen.host": .text(host), "listen.port": .integer(Int64(port)),
      "listen.http_port": http ? .integer(Int64(httpPort)) : .null, "log.level": .text(logLevel),
      "data.dir": dataDir.map { .text($0) } ?? .null, "data.durability": .text(durability),
      "data.disk_free_limit": .integer(Int64(diskFreeLimit)),
      "data.queue_memory": .integer(Int64(settings.queueMemoryMaximum)),
      "data.memory": .integer(Int64(settings.memoryMaximum)),
      "limits.max_message_size": .integer(Int64(settings.bodyMaximum)),
      "limits.frame_max": .integer(Int64(settings.frameMaximum)),
      "limits.channel_max": .integer(Int64(settings.channelMaximum)),
      "limits.heartbeat": .integer(Int64(settings.heartbeatSeconds)),
      "scripting.plugins": .text(plugins),
    ]
  }

  /// For the plugins of a folder.
  package var pluginOptions: PluginOptions {
    var options = PluginOptions(folder: plugins)
    options.enabled = enabled
    options.settings = pluginSettings
    options.limits = LuaLimits(memoryBytes: memoryBytes)
    options.routeBudget = budget
    options.hookBudget = LuaBudget(
      instructions: budget.instructions * 10, nanoseconds: budget.nanoseconds * 10)
    options.loopNanosecondsPerSecond = UInt64(loopMillisecondsPerSecond * 1e6)
    options.authChain = authChain
    options.clientExpressions = clientExpressions
    return options
  }
}

/// All that is wrong with a file.
package struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  /// Each begins with the file's name and the line, if it is known.
  package let problems: [String]

  package var description: String { problems.joined(separator: "\n") }
}
