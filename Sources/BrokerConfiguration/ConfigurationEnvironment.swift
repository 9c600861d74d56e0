/// Environment variables over the file: `YUTU_LISTEN_PORT` is `listen.port`, and those of RabbitMQ's image. Knows no
/// file.

internal import AMQPWire
internal import BrokerCore
internal import BrokerScripting
internal import LuaRuntime

extension ConfigurationKey {
  /// "YUTU_LISTEN_PORT".
  package var variable: String { "YUTU_" + path.uppercased().replacing(".", with: "_") }

  /// As RabbitMQ's image calls some.
  fileprivate static let ofRabbitMQ = [
    "RABBITMQ_DEFAULT_USER": "auth.default_user", "RABBITMQ_DEFAULT_PASS": "auth.default_pass",
    "RABBITMQ_DEFAULT_VHOST": "auth.default_vhost",
  ]
}

extension Configuration {
  /// - Throws: for each variable that names no key, or whose value does not fit
  package mutating func apply(_ environment: [String: String]) throws(ConfigurationError) {
    var problems: [String] = []
    for (variable, value) in environment.sorted(by: { $0.key < $1.key }) where !value.isEmpty {
      let path = ConfigurationKey.ofRabbitMQ[variable]
      guard path != nil || variable.hasPrefix("YUTU_") else { continue }
      let key = ConfigurationKey.all.first { $0.path == path ?? "" || $0.variable == variable }
      guard let key else {
        let known = ConfigurationKey.all.map { $0.variable.lowercased() }
        let hint = Spelling.nearest(to: variable, among: known)?.uppercased()
        problems.append("\(variable): no such key\(hint.map { "; did you mean \($0)?" } ?? "")")
        continue
      }
      if Self.values(of: value).contains(where: { key.set(&self, $0) }) {
        said.insert(key.path)
      } else {
        problems.append("\(variable): '\(value)', expected \(key.expected)")
      }
    }
    if !problems.isEmpty { throw ConfigurationError(problems: problems) }
  }

  /// What a text may mean: what it would be in a file, itself, or words with commas between them.
  private static func values(of text: String) -> [LuaValue] {
    var values: [LuaValue] = []
    if let table = try? TOML.parse("value = \(text)"), table.fields.count == 1,
      let value = table.fields.first?.value.value, let plain = plain(value)
    {
      values.append(plain)
    }
    values.append(.text(text))
    let words = text.split(separator: ",").map { LuaValue.text($0.filter { $0 != " " }) }
    return values + [.list(words)]
  }

  private static func plain(_ value: TOMLValue) -> LuaValue? {
    switch value {
    case .plain(let value): return value
    case .list(let entries):
      let items = entries.compactMap { plain($0.value) }
      return items.count == entries.count ? .list(items) : nil
    case .date, .tables, .table: return nil
    }
  }

  mutating func changeFirstUser(_ change: (inout FirstUser) -> Void) {
    guard var first = settings.users.first else { return }
    change(&first)
    settings.users[0] = first
  }
}
