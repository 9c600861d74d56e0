/// What a plugin says of itself, checked against the schema of the API. Knows no file and no interpreter.

package import LuaRuntime

package struct Manifest: Sendable, Equatable {
  static let version: Int64 = 1
  private static let fields: Set<String> = [
    "api", "about", "enabled", "settings", "exchange", "matcher", "authenticate", "sasl", "authorize",
    "filters",
    "declare", "dead_letter", "events", "timers", "save", "restore",
  ]
  private static let exchangeFields: Set<String> = ["validate", "bind", "prepare", "route", "pure"]

  package let about: String
  /// Unless the operator says otherwise.
  package let enabled: Bool
  package let isExchangeType: Bool
  /// The routing key alone decides.
  package let isPureInKey: Bool
  package let defaults: [String: LuaValue]

  /// - Throws: what is wrong, for the log
  package init(_ table: [String: LuaValue]) throws(LuaError) {
    guard table["api"] == .integer(Self.version) else {
      throw LuaError(.refused, "the plugin's table must say api = \(Self.version)")
    }
    for name in table.keys.sorted() where !Self.fields.contains(name) {
      throw LuaError(.refused, "unknown field '\(name)'")
    }
    if case .text(let text)? = table["about"] { about = text } else { about = "" }
    switch table["enabled"] {
    case nil: enabled = true
    case .boolean(let flag)?: enabled = flag
    default: throw LuaError(.refused, "enabled must be true or false")
    }
    (isExchangeType, isPureInKey) = try Self.exchange(table["exchange"])
    defaults = try Self.defaults(table["settings"])
  }

  private static func exchange(_ value: LuaValue?) throws(LuaError) -> (Bool, Bool) {
    guard let value else { return (false, false) }
    guard case .table(let fields) = value else { throw LuaError(.refused, "exchange must be a table") }
    for name in fields.keys.sorted() where !exchangeFields.contains(name) {
      throw LuaError(.refused, "unknown field 'exchange.\(name)'")
    }
    guard fields["route"] == .function else { throw LuaError(.refused, "exchange.route must be a function") }
    for name in ["validate", "bind", "prepare"] where fields[name] != nil && fields[name] != .function {
      throw LuaError(.refused, "exchange.\(name) must be a function")
    }
    switch fields["pure"] {
    case nil: return (true, false)
    case .list(let names)?: return (true, names == [.text("routing_key")])
    default: throw LuaError(.refused, "exchange.pure must be a list of message fields")
    }
  }

  private static func defaults(_ value: LuaValue?) throws(LuaError) -> [String: LuaValue] {
    guard let value else { return [:] }
    guard case .table(let settings) = value else { throw LuaError(.refused, "settings must be a table") }
    return settings.compactMapValues { $0["default"] }
  }

  /// Defaults under what the operator set.
  /// - Throws: for a setting that is not declared, or of another type than its default
  package func settings(with operators: [String: LuaValue]) throws(LuaError) -> [String: LuaValue] {
    var settings = defaults
    for (name, value) in operators.sorted(by: { $0.key < $1.key }) {
      guard let standard = defaults[name] else { throw LuaError(.refused, "unknown setting '\(name)'") }
      guard standard.typeName == value.typeName else {
        throw LuaError(.refused, "setting '\(name)' must be a \(standard.typeName), not a \(value.typeName)")
      }
      settings[name] = value
    }
    return settings
  }
}

extension LuaValue {
  fileprivate var typeName: String {
    switch self {
    case .null: "null"
    case .boolean: "boolean"
    case .integer, .number: "number"
    case .text, .bytes: "string"
    case .list, .table, .timestamp: "table"
    case .function: "function"
    }
  }
}
