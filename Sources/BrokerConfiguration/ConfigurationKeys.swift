/// All keys of the configuration file: their types, bounds, meaning and place in `Configuration`. The parser,
/// `yutu config default` and the test of docs/configuration.md read this table, so that none knows a key that
/// another does not.

internal import AMQPWire
internal import BrokerCore
internal import BrokerScripting
internal import Logging
internal import LuaRuntime

package struct ConfigurationKey: Sendable {
  /// "listen.port".
  package let path: String
  /// For the comment above it.
  package let about: String
  /// "an integer from 0 to 65535".
  package let expected: String
  /// As it stands in a file; nil: without the key it is unset, and `sample` shows how it may be.
  package let standard: String?
  package let sample: String
  /// - Returns: whether the value fits
  let set: @Sendable (inout Configuration, LuaValue) -> Bool

  package var section: String { String(path.prefix { $0 != "." }) }
  package var name: String { String(path.drop { $0 != "." }.dropFirst()) }

  package static let all: [ConfigurationKey] = [
    text("listen.host", "The address for AMQP.", get: { $0.host }, set: { $0.host = $1 }),
    integer(
      "listen.port", "The port for AMQP; 0 lets the system choose.", in: 0...65_535, get: { $0.port },
      set: { $0.port = $1 }),
    flag("listen.http", "Whether the HTTP API is served.", get: { $0.http }, set: { $0.http = $1 }),
    text(
      "listen.http_host", "The address for the HTTP API; that for AMQP if it is not set.",
      sample: "\"127.0.0.1\"", set: { $0.httpHost = $1 }),
    integer(
      "listen.http_port", "The port for the HTTP API; 0 lets the system choose.", in: 0...65_535,
      get: { $0.httpPort }, set: { $0.httpPort = $1 }),
    word(
      "log.level", "How much to log.", among: Logger.Level.allCases.map(\.rawValue), get: { $0.logLevel },
      set: { $0.logLevel = $1 }),
    flag(
      "log.exchange", "Whether lines of the log are published to amq.rabbitmq.log, under their level.",
      get: { $0.settings.logsToExchange }, set: { $0.settings.logsToExchange = $1 }),
    text(
      "data.dir",
      "Where data is kept; :memory: keeps nothing. If it is not set: $XDG_DATA_HOME/yutu or ~/.local/share/yutu.",
      sample: "\"/var/lib/yutu\"", set: { $0.dataDir = $1 }),
    word(
      "data.durability",
      "When a message is safe: on the disk (fsync), or with the operating system (os), where it outlives the "
        + "broker's end but not the machine's.",
      among: ["fsync", "os"], get: { $0.durability }, set: { $0.durability = $1 }),
    integer(
      "data.disk_free_limit", "Octets of the disk that are left free: publishers are blocked before.",
      in: 1 << 20...1 << 50, get: { $0.diskFreeLimit }, set: { $0.diskFreeLimit = $1 }),
    integer(
      "data.queue_memory",
      "Octets of messages that a queue holds in memory; what is beyond waits on the disk alone.",
      in: 1 << 10...1 << 40, get: { $0.settings.queueMemoryMaximum },
      set: { $0.settings.queueMemoryMaximum = $1 }),
    integer(
      "data.memory",
      "Octets of messages that all queues hold in memory; beyond, each may hold a page of 256 KiB.",
      in: 1 << 20...1 << 45, get: { $0.settings.memoryMaximum }, set: { $0.settings.memoryMaximum = $1 }),
    text(
      "data.definitions", "A file of definitions, RabbitMQ's or ours, that is loaded at each start.",
      sample: "\"definitions.json\"", set: { $0.definitions = $1 }),
    integer(
      "limits.max_message_size", "The most octets of a message's body.",
      in: 0...Int(WireLimits.bodyAnnounced),
      get: { $0.settings.bodyMaximum }, set: { $0.settings.bodyMaximum = $1 }),
    integer(
      "limits.max_transaction_size", "The most octets of all bodies that are published in a transaction.",
      in: 0...1 << 40, get: { $0.settings.transactionMaximum }, set: { $0.settings.transactionMaximum = $1 }),
    integer(
      "limits.frame_max", "The most octets of a frame; clients may ask for less.",
      in: Int(WireLimits.frameMinimum)...16_777_216,
      get: { Int($0.settings.frameMaximum) }, set: { $0.settings.frameMaximum = UInt32($1) }),
    integer(
      "limits.channel_max", "The most channels of a connection; clients may ask for less.", in: 1...65_535,
      get: { Int($0.settings.channelMaximum) }, set: { $0.settings.channelMaximum = UInt16($1) }),
    integer(
      "limits.heartbeat", "Seconds between heartbeats that clients are asked for; 0: none.", in: 0...65_535,
      get: { Int($0.settings.heartbeatSeconds) }, set: { $0.settings.heartbeatSeconds = UInt16($1) }),
    integer(
      "limits.handshake_seconds", "Seconds that a client has from connecting to connection.open.",
      in: 1...3600,
      get: { $0.settings.handshakeSeconds }, set: { $0.settings.handshakeSeconds = $1 }),
    integer(
      "limits.consumer_timeout",
      "Milliseconds that a consumer may hold a message unacknowledged; then its channel is closed. 0: no limit.",
      in: 0...1 << 50, get: { Int($0.settings.consumerTimeoutMilliseconds) },
      set: { $0.settings.consumerTimeoutMilliseconds = Int64($1) }),
    texts(
      "auth.chain",
      "Who is asked at a login, in this order: internal, and plugins. If it is not set: internal, then all "
        + "enabled plugins with authenticate, by name.", sample: "[\"internal\", \"users-file\"]",
      set: { $0.authChain = $1 }),
    text(
      "auth.default_user", "The user that a broker without data makes; it may do everything.",
      get: { $0.settings.users.first?.name.text ?? "" },
      set: { configuration, name in configuration.changeFirstUser { $0.name = ByteString(name) } }),
    text(
      "auth.default_pass", "That user's password.", get: { $0.settings.users.first?.password ?? "" },
      set: { configuration, password in configuration.changeFirstUser { $0.password = password } }),
    texts(
      "auth.default_user_tags", "That user's tags.", get: { $0.settings.users.first?.tags ?? [] },
      set: { configuration, tags in configuration.changeFirstUser { $0.tags = tags } }),
    text(
      "auth.default_vhost", "The virtual host that a broker without data makes.",
      get: { $0.settings.firstVirtualHost.text },
      set: { $0.settings.firstVirtualHost = ByteString($1) }),
    texts(
      "auth.loopback_users", "Users who may come from this machine only; [] is nobody.",
      get: { $0.settings.loopbackUsers.sorted() }, set: { $0.settings.loopbackUsers = Set($1) }),
    number(
      "auth.cache_seconds", "How long a connection keeps the answers of authorize; 0: they are not kept.",
      in: 0...86_400, get: { $0.settings.accessCacheSeconds }, set: { $0.settings.accessCacheSeconds = $1 }),
    text("scripting.plugins", "The folder with the plugins.", get: { $0.plugins }, set: { $0.plugins = $1 }),
    flag(
      "scripting.client_expressions", "Whether clients may bind with x-match = \"lua\".",
      get: { $0.clientExpressions }, set: { $0.clientExpressions = $1 }),
    integer(
      "scripting.memory_bytes", "The most memory of a plugin.", in: 1 << 20...1 << 40,
      get: { $0.memoryBytes }, set: { $0.memoryBytes = $1 }),
    number(
      "scripting.milliseconds",
      "CPU time of one call of a route, filter or matcher; other hooks have ten times as much.",
      in: 0.01...60_000,
      get: { Double($0.budget.nanoseconds) / 1e6 }, set: { $0.budget.nanoseconds = UInt64($1 * 1e6) }),
    integer(
      "scripting.instructions", "Lua instructions of such a call; other hooks have ten times as many.",
      in: 1000...1_000_000_000_000, get: { Int($0.budget.instructions) },
      set: { $0.budget.instructions = UInt64($1) }),
    number(
      "scripting.loop_milliseconds_per_second",
      "What a plugin may take of a second of the broker's loop; beyond it is cut off for a time.",
      in: 1...1000,
      get: { $0.loopMillisecondsPerSecond }, set: { $0.loopMillisecondsPerSecond = $1 }),
  ]

  package static let sections = ["listen", "log", "data", "limits", "auth", "scripting"]

  // MARK: by type

  private static func text(
    _ path: String, _ about: String, get: ((Configuration) -> String)? = nil, sample: String = "",
    set: @escaping @Sendable (inout Configuration, String) -> Void
  ) -> ConfigurationKey {
    ConfigurationKey(
      path: path, about: about, expected: "a string that is not empty",
      standard: get.map { "\"\($0(Configuration()))\"" }, sample: sample
    ) { configuration, value in
      guard case .text(let text) = value, !text.isEmpty else { return false }
      set(&configuration, text)
      return true
    }
  }

  private static func word(
    _ path: String, _ about: String, among words: [String], get: (Configuration) -> String,
    set: @escaping @Sendable (inout Configuration, String) -> Void
  ) -> ConfigurationKey {
    ConfigurationKey(
      path: path, about: about,
      expected: "one of " + words.map { "'\($0)'" }.joined(separator: ", "),
      standard: "\"\(get(Configuration()))\"", sample: ""
    ) { configuration, value in
      guard case .text(let text) = value, words.contains(text) else { return false }
      set(&configuration, text)
      return true
    }
  }

  /// - Parameter get: nil: without the key it is unset, and set it has at least one
  private static func texts(
    _ path: String, _ about: String, get: ((Configuration) -> [String])? = nil, sample: String = "",
    set: @escaping @Sendable (inout Configuration, [String]) -> Void
  ) -> ConfigurationKey {
    let standard = get.map { get in
      "[" + get(Configuration()).map { "\"\($0)\"" }.joined(separator: ", ") + "]"
    }
    let mayBeEmpty = standard != nil
    return ConfigurationKey(
      path: path, about: about,
      expected: "a list of different strings\(mayBeEmpty ? "" : ", at least one")", standard: standard,
      sample: sample
    ) { configuration, value in
      guard case .list(let items) = value else { return false }
      let texts = items.compactMap { if case .text(let text) = $0, !text.isEmpty { text } else { nil } }
      guard mayBeEmpty || !texts.isEmpty, texts.count == items.count, Set(texts).count == texts.count else {
        return false
      }
      set(&configuration, texts)
      return true
    }
  }

  private static func flag(
    _ path: String, _ about: String, get: (Configuration) -> Bool,
    set: @escaping @Sendable (inout Configuration, Bool) -> Void
  ) -> ConfigurationKey {
    ConfigurationKey(
      path: path, about: about, expected: "true or false", standard: "\(get(Configuration()))", sample: ""
    ) { configuration, value in
      guard case .boolean(let flag) = value else { return false }
      set(&configuration, flag)
      return true
    }
  }

  private static func integer(
    _ path: String, _ about: String, in range: ClosedRange<Int>, get: (Configuration) -> Int,
    set: @escaping @Sendable (inout Configuration, Int) -> Void
  ) -> ConfigurationKey {
    ConfigurationKey(
      path: path, about: about, expected: "an integer from \(range.lowerBound) to \(range.upperBound)",
      standard: "\(get(Configuration()))", sample: ""
    ) { configuration, value in
      guard case .integer(let number) = value, let number = Int(exactly: number), range.contains(number)
      else {
        return false
      }
      set(&configuration, number)
      return true
    }
  }

  private static func number(
    _ path: String, _ about: String, in range: ClosedRange<Double>, get: (Configuration) -> Double,
    set: @escaping @Sendable (inout Configuration, Double) -> Void
  ) -> ConfigurationKey {
    ConfigurationKey(
      path: path, about: about,
      expected: "a number from \(shown(range.lowerBound)) to \(shown(range.upperBound))",
      standard: shown(get(Configuration())), sample: ""
    ) { configuration, value in
      // What is no number is in no range.
      guard let number = value.asNumber, range.contains(number) else { return false }
      set(&configuration, number)
      return true
    }
  }
}
