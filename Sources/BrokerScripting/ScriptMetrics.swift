/// The series that scripts keep with `metrics`. Knows no script, and not how they are shown.

internal import LuaRuntime

final class ScriptMetrics {
  static let mostSeriesAPlugin = 1000
  /// As Prometheus' clients have them: made for seconds, good for most.
  static let bounds: [Double] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 100, 1000,
  ]

  struct Key: Hashable {
    let plugin: String
    let name: String
    let labels: [String: String]
  }

  private struct Name: Hashable {
    let plugin: String
    let name: String
  }

  private var numbers: [Key: UInt64] = [:]
  private var kinds: [Name: LuaMetric] = [:]
  private var counts: [String: Int] = [:]
  private(set) var all: [ScriptSeries] = []

  /// - Returns: a number above zero; nil if the plugin has too many, or has one of that name of another kind
  func series(_ key: Key, _ kind: LuaMetric) -> UInt64? {
    let name = Name(plugin: key.plugin, name: key.name)
    guard kinds[name] ?? kind == kind else { return nil }
    if let number = numbers[key] { return number }
    guard counts[key.plugin, default: 0] < Self.mostSeriesAPlugin else { return nil }
    counts[key.plugin, default: 0] += 1
    kinds[name] = kind
    let number = UInt64(all.count) + 1
    numbers[key] = number
    let value: ScriptSeries.Value =
      switch kind {
      case .counter: .counter(0)
      case .gauge: .gauge(0)
      case .histogram:
        .histogram(
          bounds: Self.bounds, counts: Array(repeating: 0, count: Self.bounds.count + 1), sum: 0)
      }
    all.append(ScriptSeries(plugin: key.plugin, name: key.name, labels: key.labels, value: value))
    return number
  }

  func record(_ series: UInt64, _ value: Double) {
    guard series > 0, let number = Int(exactly: series - 1), all.indices.contains(number) else { return }
    switch all[number].value {
    case .counter(let sum): all[number].value = .counter(sum + value)
    case .gauge: all[number].value = .gauge(value)
    case .histogram(let bounds, var counts, let sum):
      counts[bounds.firstIndex { value <= $0 } ?? bounds.count] &+= 1
      all[number].value = .histogram(bounds: bounds, counts: counts, sum: sum + value)
    }
  }
}
