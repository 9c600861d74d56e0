/// What a plugin says of itself, checked against the schema of the API (docs/lua-api.md). Knows no file and
/// no interpreter.

package import LuaRuntime

package struct Manifest: Sendable, Equatable {
  static let version: Int64 = 1
  /// One plugin with more timers than this is a mistake.
  static let mostTimers = 100
  private static let fields = [
    "api", "about", "enabled", "settings", "on_error", "limits", "exchange", "matcher", "authenticate",
    "sasl",
    "authorize", "filters", "declare", "dead_letter", "events", "timers", "save", "restore",
  ]

  package let about: String
  /// Unless the operator says otherwise.
  package let enabled: Bool
  package let settings: [String: SettingManifest]
  package let onError: OnErrorManifest
  package let limits: LimitsManifest

  package let exchange: ExchangeManifest?
  package let matcher: MatcherManifest?
  package let authenticates: Bool
  /// Names of mechanisms.
  package let saslMechanisms: Set<String>
  package let authorizes: Bool
  package private(set) var filters: [FilterStageName: FilterManifest]
  package let declares: Bool
  package let deadLetters: Bool
  package let events: Set<EventName>
  /// In the order of the script's list, whose first is 1.
  package let timers: [TimerManifest]
  package let saves: Bool
  package let restores: Bool

  package var isExchangeType: Bool { exchange != nil }
  /// The routing key alone decides.
  package var isPureInKey: Bool { exchange?.isPureInKey ?? false }

  /// Names of what it hooks into, as reports show them: "exchange", "filters.publish", "sasl.NAME",
  /// "events.queue_created", "timers".
  package var hooks: [String] {
    var names: [String] = []
    if exchange != nil { names.append("exchange") }
    if matcher != nil { names.append("matcher") }
    if authenticates { names.append("authenticate") }
    names += saslMechanisms.sorted().map { "sasl.\($0)" }
    if authorizes { names.append("authorize") }
    names += FilterStageName.allCases.filter { filters[$0] != nil }.map { "filters.\($0.rawValue)" }
    if declares { names.append("declare") }
    if deadLetters { names.append("dead_letter") }
    names += EventName.allCases.filter(events.contains).map { "events.\($0.rawValue)" }
    if !timers.isEmpty { names.append("timers") }
    return names
  }

  /// - Throws: what is wrong, for the log: names the field, and what was expected
  package init(_ table: [String: LuaValue]) throws(LuaError) {
    guard table["api"] == .integer(Self.version) else {
      throw LuaError(.refused, "the plugin's table must say api = \(Self.version)")
    }
    let all = ManifestTable(table, at: "")
    try all.refuseUnknown(except: Self.fields)
    about = try all.text("about") ?? ""
    enabled = try all.flag("enabled") ?? true
    settings = try SettingManifest.all(try all.table("settings"))
    onError = try OnErrorManifest(table["on_error"])
    limits = try LimitsManifest(try all.table("limits"))
    exchange = try all.table("exchange").map(ExchangeManifest.init)
    matcher = try all.table("matcher").map(MatcherManifest.init)
    authenticates = try all.function("authenticate")
    saslMechanisms = try Self.sasl(try all.table("sasl"))
    authorizes = try all.function("authorize")
    filters = try FilterManifest.all(try all.table("filters"))
    declares = try all.function("declare")
    deadLetters = try all.function("dead_letter")
    events = try Self.events(try all.table("events"))
    timers = try TimerManifest.all(table["timers"])
    saves = try all.function("save")
    restores = try all.function("restore")
  }

  /// Asks each `match` that is a function, once the settings are known.
  /// - Parameter ask: calls the function at that path
  mutating func settleMatches(_ ask: (String) throws(LuaError) -> LuaValue) throws(LuaError) {
    for stage in FilterStageName.allCases where filters[stage]?.asksSettings ?? false {
      try filters[stage]?.matchAnswered(try ask("filters.\(stage.rawValue).match"), stage)
    }
  }

  /// Names as RFC 4422 (3.1) has them. The broker's own mechanisms are not a plugin's to replace: it has
  /// `authenticate` for them.
  private static func sasl(_ table: ManifestTable?) throws(LuaError) -> Set<String> {
    guard let table else { return [] }
    guard !table.fields.isEmpty else {
      throw LuaError(.refused, "sasl is empty, expected NAME = function")
    }
    for name in table.names {
      _ = try table.function(name)
      guard 1...20 ~= name.utf8.count, name.utf8.allSatisfy(isMechanismOctet) else {
        throw LuaError(.refused, "sasl.\(name): a mechanism's name is of 1 to 20 of A-Z, 0-9, - and _")
      }
      guard !["PLAIN", "AMQPLAIN"].contains(name) else {
        throw LuaError(.refused, "sasl.\(name) is the broker's own; use authenticate")
      }
    }
    return Set(table.names)
  }

  private static func isMechanismOctet(_ octet: UInt8) -> Bool {
    switch octet {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    default: octet == UInt8(ascii: "-") || octet == UInt8(ascii: "_")
    }
  }

  private static func events(_ table: ManifestTable?) throws(LuaError) -> Set<EventName> {
    guard let table else { return [] }
    try table.refuseUnknown(except: EventName.allCases.map(\.rawValue))
    for name in table.names { _ = try table.function(name) }
    return Set(table.names.compactMap(EventName.init))
  }
}

// MARK: parts

/// `exchange`.
package struct ExchangeManifest: Sendable, Equatable {
  package let validates: Bool
  package let binds: Bool
  package let prepares: Bool
  package let isPureInKey: Bool

  init(_ table: ManifestTable) throws(LuaError) {
    try table.refuseUnknown(except: ["validate", "bind", "prepare", "route", "pure"])
    try table.need(function: "route")
    validates = try table.function("validate")
    binds = try table.function("bind")
    prepares = try table.function("prepare")
    switch table.fields["pure"] {
    case nil: isPureInKey = false
    case .list([.text("routing_key")])?: isPureInKey = true
    case let value?:
      throw LuaError(.refused, "exchange.pure is \(value.shown), expected { \"routing_key\" }")
    }
  }
}

/// `matcher`.
package struct MatcherManifest: Sendable, Equatable {
  /// Otherwise the arguments themselves are kept.
  package let binds: Bool

  init(_ table: ManifestTable) throws(LuaError) {
    try table.refuseUnknown(except: ["bind", "match"])
    try table.need(function: "match")
    binds = try table.function("bind")
  }
}

package enum FilterStageName: String, Sendable, CaseIterable {
  case publish, enqueue, deliver

  /// What its `match` may name beside the vhost.
  package var matched: String { self == .publish ? "exchange" : "queue" }
}

/// `filters.publish`, `filters.enqueue`, `filters.deliver`.
package struct FilterManifest: Sendable, Equatable {
  package let order: Double
  /// Globs, one of which must match; nil: every vhost.
  package private(set) var vhosts: [String]?
  /// Globs of exchanges (publish) or queues (enqueue, deliver); nil: all.
  package private(set) var names: [String]?
  /// `match` is a function of the settings: until it was asked, the filter matches everything.
  package private(set) var asksSettings = false

  static func all(_ table: ManifestTable?) throws(LuaError) -> [FilterStageName: FilterManifest] {
    guard let table else { return [:] }
    try table.refuseUnknown(except: FilterStageName.allCases.map(\.rawValue))
    var filters: [FilterStageName: FilterManifest] = [:]
    for stage in FilterStageName.allCases {
      if let filter = try table.table(stage.rawValue) { filters[stage] = try FilterManifest(filter, stage) }
    }
    return filters
  }

  private init(_ table: ManifestTable, _ stage: FilterStageName) throws(LuaError) {
    try table.refuseUnknown(except: ["match", "order", "run"])
    try table.need(function: "run")
    order = try table.number("order") ?? 0
    if table.fields["match"] == .function {
      asksSettings = true
    } else {
      try setMatch(try table.table("match"), stage)
    }
  }

  private mutating func setMatch(_ match: ManifestTable?, _ stage: FilterStageName) throws(LuaError) {
    try match?.refuseUnknown(except: ["vhost", stage.matched])
    vhosts = try match?.texts("vhost")
    names = try match?.texts(stage.matched)
  }

  /// - Parameter answer: what the function `match` gave: a table as it stands in others; nothing: all messages;
  ///   false: none
  fileprivate mutating func matchAnswered(_ answer: LuaValue, _ stage: FilterStageName) throws(LuaError) {
    asksSettings = false
    switch answer {
    case .null: break
    case .boolean(false): names = []
    default: try setMatch(try ManifestTable(answer, at: "filters.\(stage.rawValue).match()"), stage)
    }
  }
}

package enum EventName: String, Sendable, CaseIterable {
  case connectionOpened = "connection_opened"
  case connectionClosed = "connection_closed"
  case queueCreated = "queue_created"
  case queueDeleted = "queue_deleted"
  case exchangeCreated = "exchange_created"
  case exchangeDeleted = "exchange_deleted"
  case messageDropped = "message_dropped"
  case alarmRaised = "alarm_raised"
  case alarmCleared = "alarm_cleared"
}

/// One of `timers`.
package struct TimerManifest: Sendable, Equatable {
  /// A year: more overflows somebody's clock.
  static let seconds: ClosedRange<Double> = 0.1...31_536_000
  package let everySeconds: Double

  static func all(_ value: LuaValue?) throws(LuaError) -> [TimerManifest] {
    let items: [LuaValue]
    switch value {
    case nil, .table([:])?: return []
    case .list(let list)?: items = list
    case let value?:
      throw LuaError(
        .refused, "timers is \(value.kind), expected a list of { every = seconds, run = function }")
    }
    guard items.count <= Manifest.mostTimers else {
      throw LuaError(.refused, "timers has \(items.count) entries, expected at most \(Manifest.mostTimers)")
    }
    var timers: [TimerManifest] = []
    for (index, item) in items.enumerated() {
      timers.append(try TimerManifest(try ManifestTable(item, at: "timers[\(index + 1)]")))
    }
    return timers
  }

  private init(_ table: ManifestTable) throws(LuaError) {
    try table.refuseUnknown(except: ["every", "run"])
    try table.need(function: "run")
    let every = try table.number("every", in: Self.seconds)
    guard let every else { throw LuaError(.refused, "\(table.path).every is needed: seconds, at least 0.1") }
    everySeconds = every
  }
}

/// `on_error`: what a hook that fails means.
package struct OnErrorManifest: Sendable, Equatable {
  package enum Access: String, Sendable, CaseIterable { case deny, allow }
  package enum Passage: String, Sendable, CaseIterable { case refuse, pass }

  /// allow: the next in the chain is asked.
  package var authenticate = Access.deny
  package var authorize = Access.deny
  /// pass: the message is unroutable.
  package var route = Passage.refuse
  package var declare = Passage.refuse
  package var filters: [FilterStageName: Passage] = [:]

  package func filter(_ stage: FilterStageName) -> Passage { filters[stage] ?? .refuse }

  /// A word for all hooks that know it, or a table by hook.
  init(_ value: LuaValue?) throws(LuaError) {
    switch value {
    case nil, .table([:])?: return
    case .text(let word)?:
      if let access = Access(rawValue: word) {
        (authenticate, authorize) = (access, access)
      } else if let passage = Passage(rawValue: word) {
        (route, declare) = (passage, passage)
        for stage in FilterStageName.allCases { filters[stage] = passage }
      } else {
        throw LuaError(
          .refused, "on_error is '\(word)', expected 'deny', 'allow', 'refuse', 'pass' or a table by hook")
      }
    case .table(let fields)?:
      let table = ManifestTable(fields, at: "on_error")
      let stages = FilterStageName.allCases
      let others = ["authenticate", "authorize", "route", "declare"]
      try table.refuseUnknown(except: others + stages.map(\.rawValue))
      authenticate = try table.word("authenticate") ?? .deny
      authorize = try table.word("authorize") ?? .deny
      route = try table.word("route") ?? .refuse
      declare = try table.word("declare") ?? .refuse
      for stage in stages { filters[stage] = try table.word(stage.rawValue) }
    case let value?:
      throw LuaError(.refused, "on_error is \(value.kind), expected a word or a table by hook")
    }
  }
}

/// `limits`: what the plugin asks for; the operator's are above it. Nil: the operator's.
package struct LimitsManifest: Sendable, Equatable {
  package let milliseconds: Double?
  package let instructions: Int64?
  package let memoryBytes: Int64?

  init(_ table: ManifestTable?) throws(LuaError) {
    try table?.refuseUnknown(except: ["milliseconds", "instructions", "memory"])
    milliseconds = try table?.number("milliseconds", in: 0.01...60_000)
    instructions = try table?.integer("instructions", in: 100...1_000_000_000_000)
    // The libraries alone need some 100 KiB.
    memoryBytes = try table?.integer("memory", in: 1 << 20...1 << 40)
  }
}
