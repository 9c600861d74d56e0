/// One of a plugin's `settings`: what the operator may set, checked. Knows no configuration file.

package import LuaRuntime

package struct SettingManifest: Sendable, Equatable {
  package enum Kind: String, Sendable, CaseIterable { case string, number, integer, boolean, list, table }

  package let kind: Kind
  /// Without one the setting is nil until the operator sets it.
  package private(set) var standard: LuaValue?
  package let about: String
  package let min: Double?
  package let max: Double?
  /// Empty: any.
  package let oneOf: [LuaValue]

  static func all(_ table: ManifestTable?) throws(LuaError) -> [String: SettingManifest] {
    var settings: [String: SettingManifest] = [:]
    for name in table?.names ?? [] {
      if let setting = try table?.table(name) { settings[name] = try SettingManifest(setting) }
    }
    return settings
  }

  private init(_ table: ManifestTable) throws(LuaError) {
    try table.refuseUnknown(except: ["default", "about", "type", "min", "max", "one_of"])
    let value = table.fields["default"]
    about = try table.text("about") ?? ""
    guard let kind = try table.word("type") ?? Kind(of: value) else {
      let problem = value.map { "default is \($0.kind): " } ?? ""
      throw LuaError(
        .refused,
        "\(table.path): \(problem)expected a default or a type of "
          + Kind.allCases.map(\.rawValue).joined(separator: ", "))
    }
    self.kind = kind
    min = try table.number("min")
    max = try table.number("max")
    if let bound = min == nil ? max == nil ? nil : "max" : "min", kind != .number, kind != .integer {
      throw LuaError(.refused, "\(table.path).\(bound) is for numbers, not for a \(kind.rawValue)")
    }
    if let min, let max, min > max {
      throw LuaError(.refused, "\(table.path): min \(shown(min)) is above max \(shown(max))")
    }
    switch table.fields["one_of"] {
    case nil: oneOf = []
    case .list(let values)? where values.allSatisfy { kind.accepts($0) != nil }: oneOf = values
    case let value?: throw table.wrong("one_of", value, "a list of values of type \(kind.rawValue)")
    }
    guard let value else { return }
    switch accept(value) {
    case .accepted(let value): standard = value
    case .refused(let reason): throw LuaError(.refused, "\(table.path).default: \(reason)")
    }
  }

  package enum Acceptance: Equatable {
    /// As the script gets it.
    case accepted(LuaValue)
    /// What it is, and what was expected.
    case refused(String)
  }

  package func accept(_ value: LuaValue) -> Acceptance {
    guard let accepted = kind.accepts(value) else {
      let problem = "\(value.shown)\(value.kind == value.shown ? "" : " is \(value.kind)")"
      return .refused("\(problem), expected \(expected)")
    }
    if let number = accepted.asNumber {
      // What is no number is in no range.
      if number.isNaN { return .refused("nan, expected \(expected)") }
      if let min, number < min { return .refused("\(value.shown) is too small, expected \(expected)") }
      if let max, number > max { return .refused("\(value.shown) is too large, expected \(expected)") }
    }
    guard oneOf.isEmpty || oneOf.contains(where: { $0.isSame(as: accepted) }) else {
      return .refused("\(value.shown) is not allowed, expected \(expected)")
    }
    return .accepted(accepted)
  }

  /// "a number of at least 1".
  package var expected: String {
    if !oneOf.isEmpty { return "one of " + oneOf.map(\.shown).joined(separator: ", ") }
    let article = kind == .integer ? "an" : "a"
    switch (min, max) {
    case (nil, nil): return "\(article) \(kind.rawValue)"
    case (let min?, nil): return "\(article) \(kind.rawValue) of at least \(shown(min))"
    case (nil, let max?): return "\(article) \(kind.rawValue) of at most \(shown(max))"
    case (let min?, let max?):
      return "\(article) \(kind.rawValue) from \(shown(min)) to \(shown(max))"
    }
  }
}

extension SettingManifest.Kind {
  /// Any number's is `number`: who wants integers only says so. An empty table may be a list, too.
  fileprivate init?(of value: LuaValue?) {
    switch value {
    case .text?, .bytes?: self = .string
    case .integer?, .number?: self = .number
    case .boolean?: self = .boolean
    case .list?: self = .list
    case .table?, .timestamp?: self = .table
    case nil, .null?, .function?: return nil
    }
  }

  /// - Returns: the value as the script gets it, or nil if it is of another type
  fileprivate func accepts(_ value: LuaValue) -> LuaValue? {
    switch (self, value) {
    case (.string, .text), (.string, .bytes), (.number, .integer), (.number, .number), (.boolean, .boolean),
      (.list, .list), (.list, .table([:])), (.table, .table), (.table, .list), (.table, .timestamp):
      value
    case (.integer, _): value.asInteger.map { .integer($0) }
    default: nil
    }
  }
}

extension LuaValue {
  fileprivate func isSame(as other: LuaValue) -> Bool {
    if let left = asNumber, let right = other.asNumber { return left == right }
    return self == other
  }
}

extension Manifest {
  /// Defaults under what the operator set, as the script's `settings`.
  /// - Throws: for a setting that is not declared, or not what was declared
  package func settings(with operators: [String: LuaValue], of plugin: String) throws(LuaError) -> [String:
    LuaValue]
  {
    var values = settings.compactMapValues(\.standard)
    for (name, value) in operators.sorted(by: { $0.key < $1.key }) {
      let place = "setting '\(name)' of plugin '\(plugin)'"
      guard let setting = settings[name] else {
        let known = settings.keys.sorted()
        let hint =
          Spelling.nearest(to: name, among: known).map { "did you mean '\($0)'?" }
          ?? (known.isEmpty ? "it has none" : "it has \(known.joined(separator: ", "))")
        throw LuaError(.refused, "\(place) is unknown: \(hint)")
      }
      switch setting.accept(value) {
      case .accepted(let value): values[name] = value
      case .refused(let reason): throw LuaError(.refused, "\(place): \(reason)")
      }
    }
    return values
  }
}
