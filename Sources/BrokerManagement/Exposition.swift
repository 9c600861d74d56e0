/// Metrics as text for Prometheus (format 0.0.4). Knows no metric by name.

/// All samples of one name.
struct MetricFamily {
  enum Kind: String { case counter, gauge, histogram }

  enum Value {
    case plain(Double)
    /// counts: by bounds, each observation counted once; the last count is of all larger ones.
    case histogram(bounds: [Double], counts: [UInt64], sum: Double)
  }

  struct Sample {
    let labels: [(String, String)]
    let value: Value

    init(_ value: Double, _ labels: [(String, String)] = []) {
      self.value = .plain(value)
      self.labels = labels
    }

    init(bounds: [Double], counts: [UInt64], sum: Double, _ labels: [(String, String)]) {
      value = .histogram(bounds: bounds, counts: counts, sum: sum)
      self.labels = labels
    }
  }

  let name: String
  let kind: Kind
  let help: String
  var samples: [Sample]

  init(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
    self.name = name
    self.kind = kind
    self.help = help
    self.samples = samples
  }

  /// The names under which samples stand: none may be another family's.
  var sampleNames: [String] {
    kind == .histogram ? [name, "\(name)_bucket", "\(name)_sum", "\(name)_count"] : [name]
  }
}

struct Exposition {
  private(set) var text = ""

  /// HELP and TYPE once, then the samples; nothing for a family without any.
  mutating func add(_ family: MetricFamily) {
    guard !family.samples.isEmpty else { return }
    let help = family.help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    text += "# HELP \(family.name) \(help)\n# TYPE \(family.name) \(family.kind.rawValue)\n"
    for sample in family.samples {
      switch sample.value {
      case .plain(let value): line(family.name, sample.labels, value)
      case .histogram(let bounds, let counts, let sum):
        var cumulative: UInt64 = 0
        for (bound, count) in zip(bounds, counts) {
          cumulative &+= count
          line("\(family.name)_bucket", sample.labels + [("le", Self.number(bound))], Double(cumulative))
        }
        let all = counts.reduce(0, &+)
        line("\(family.name)_bucket", sample.labels + [("le", "+Inf")], Double(all))
        line("\(family.name)_sum", sample.labels, sum)
        line("\(family.name)_count", sample.labels, Double(all))
      }
    }
  }

  private mutating func line(_ name: String, _ labels: [(String, String)], _ value: Double) {
    text += name
    if !labels.isEmpty {
      text += "{" + labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",") + "}"
    }
    text += " \(Self.number(value))\n"
  }

  static func escaped(_ label: String) -> String {
    label.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
  }

  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    return Int64(exactly: value).map { "\($0)" } ?? "\(value)"
  }

  /// A name that scripts chose, as the format allows it.
  static func label(_ name: String) -> String {
    let plain = String(
      name.unicodeScalars.map { isWord($0) ? Character($0) : "_" })
    // Names with two underscores before them are Prometheus' own; `plugin` and `le` are ours.
    let own = plain.isEmpty || plain.hasPrefix("__") || plain == "plugin" || plain == "le"
    return own || plain.first?.isNumber == true ? "script_\(plain)" : plain
  }

  static func name(_ name: String) -> String {
    String(name.unicodeScalars.map { isWord($0) || $0 == ":" ? Character($0) : "_" })
  }

  private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", "_": true
    default: false
    }
  }
}
