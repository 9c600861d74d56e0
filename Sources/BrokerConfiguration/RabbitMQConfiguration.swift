/// RabbitMQ's configuration file (`rabbitmq.conf`: a key, `=`, a value a line), as one of ours. Knows no broker.

package enum RabbitMQConfiguration {
  /// Our key, and the value as it stands in TOML; nil: it does not fit.
  private typealias Translation = (key: String, value: @Sendable (String) -> String?)

  private static let keys: [String: Translation] = [
    "listeners.tcp.default": ("listen.port", integer), "management.tcp.port": ("listen.http_port", integer),
    "management.listener.port": ("listen.http_port", integer),
    "management.tcp.ip": ("listen.http_host", text),
    "management.listener.ip": ("listen.http_host", text), "default_user": ("auth.default_user", text),
    "default_pass": ("auth.default_pass", text), "default_vhost": ("auth.default_vhost", text),
    "heartbeat": ("limits.heartbeat", integer), "channel_max": ("limits.channel_max", integer),
    "frame_max": ("limits.frame_max", integer), "max_message_size": ("limits.max_message_size", octets),
    "handshake_timeout": ("limits.handshake_seconds", seconds),
    "consumer_timeout": ("limits.consumer_timeout", integer), "log.exchange": ("log.exchange", flag),
    "disk_free_limit.absolute": ("data.disk_free_limit", octets), "log.level": ("log.level", level),
    "log.console.level": ("log.level", level), "load_definitions": ("data.definitions", text),
    "management.load_definitions": ("data.definitions", text),
    "definitions.local.path": ("data.definitions", text),
  ]

  /// - Returns: a file of ours, in which what has no equal is a comment, and these lines
  package static func translated(_ text: String) -> (file: String, untranslated: [String]) {
    var said: [String: String] = [:]
    var tags: [String] = []
    var loopback: [String]?
    var untranslated: [String] = []
    for line in text.split(whereSeparator: \.isNewline) {
      let line = trimmed(line)
      guard !line.isEmpty, !line.hasPrefix("#") else { continue }
      let parts = line.split(separator: "=", maxSplits: 1).map(trimmed)
      guard parts.count == 2 else {
        untranslated.append(line)
        continue
      }
      let (key, value) = (parts[0], unquoted(parts[1]))
      if let translation = keys[key], let own = translation.value(value) {
        said[translation.key] = own
      } else if key.hasPrefix("listeners.tcp."), let place = place(value) {
        said["listen.host"] = place.host.map { "\"\($0)\"" }
        said["listen.port"] = place.port
      } else if key.hasPrefix("default_user_tags."), value == "true" {
        tags.append(String(key.dropFirst("default_user_tags.".count)))
      } else if key == "loopback_users", value == "none" {
        loopback = []
      } else if key.hasPrefix("loopback_users.") {
        let user = String(key.dropFirst("loopback_users.".count))
        loopback = (loopback ?? ["guest"]).filter { $0 != user } + (value == "true" ? [user] : [])
      } else {
        untranslated.append(line)
      }
    }
    if !tags.isEmpty { said["auth.default_user_tags"] = list(tags) }
    if let loopback { said["auth.loopback_users"] = list(loopback) }
    return (file(said, untranslated), untranslated)
  }

  private static func file(_ said: [String: String], _ untranslated: [String]) -> String {
    var text = "# Made by yutu config import.\n"
    for line in untranslated { text += "# has no equal here: \(line)\n" }
    for section in ConfigurationKey.sections {
      let keys = ConfigurationKey.all.filter { $0.section == section && said[$0.path] != nil }
      guard !keys.isEmpty else { continue }
      text += "\n[\(section)]\n"
      for key in keys { text += "\(key.name) = \(said[key.path] ?? "")\n" }
    }
    return text
  }

  // MARK: values

  private static func trimmed(_ text: some StringProtocol) -> String {
    String(text.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
  }

  private static func unquoted(_ text: String) -> String {
    for quote in ["'", "\""] where text.count > 1 && text.hasPrefix(quote) && text.hasSuffix(quote) {
      return String(text.dropFirst().dropLast())
    }
    return text
  }

  @Sendable private static func text(_ value: String) -> String? {
    "\"" + value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }

  @Sendable private static func integer(_ value: String) -> String? { Int(value).map { "\($0)" } }

  @Sendable private static func flag(_ value: String) -> String? {
    ["true", "false"].contains(value) ? value : nil
  }

  @Sendable private static func seconds(_ milliseconds: String) -> String? {
    Int(milliseconds).map { "\(max(1, $0 / 1000))" }
  }

  /// "50MB", "1GiB", "1048576".
  @Sendable private static func octets(_ value: String) -> String? {
    let digits = value.prefix { $0.isNumber }
    guard let number = Int(digits) else { return nil }
    let scale: Int
    switch value.dropFirst(digits.count).lowercased() {
    case "": scale = 1
    case "kb": scale = 1000
    case "mb": scale = 1_000_000
    case "gb": scale = 1_000_000_000
    case "k", "kib": scale = 1 << 10
    case "m", "mib": scale = 1 << 20
    case "g", "gib": scale = 1 << 30
    default: return nil
    }
    let (product, overflow) = number.multipliedReportingOverflow(by: scale)
    return overflow ? nil : "\(product)"
  }

  @Sendable private static func level(_ value: String) -> String? {
    [
      "debug": "\"debug\"", "info": "\"info\"", "warning": "\"warning\"", "error": "\"error\"",
      "critical": "\"critical\"", "none": "\"critical\"",
    ][value]
  }

  /// "0.0.0.0:5672", ":::5672" or a port alone.
  private static func place(_ value: String) -> (host: String?, port: String)? {
    if Int(value) != nil { return (nil, value) }
    guard let colon = value.lastIndex(of: ":"), let port = Int(value[value.index(after: colon)...]) else {
      return nil
    }
    return (String(value[..<colon]), "\(port)")
  }

  private static func list(_ words: [String]) -> String {
    "[" + words.map { "\"\($0)\"" }.joined(separator: ", ") + "]"
  }
}
