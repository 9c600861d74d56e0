/// `/metrics`: plugins, what scripts count, and the process. Open to all who reach the port, as RabbitMQ's
/// Prometheus endpoint is: it tells no message and no password.

internal import BrokerScripting
internal import Hummingbird
internal import Logging
internal import NIOCore

struct MetricsRoute: Sendable {
  let control: any PluginControl
  let version: String
  let logger: Logger

  var routes: [Route] {
    [Route(.get, "/metrics", for: nil) { _ in try await response() }]
  }

  private func response() async throws -> Response {
    let reports = try await control.reports().sorted { $0.name < $1.name }
    var page = Exposition()
    page.add(
      MetricFamily(
        "yutu_build_info", .gauge, "The version that runs; always 1.", [.init(1, [("version", version)])]))
    for family in ProcessFigures.families() { page.add(family) }
    for family in Self.plugins(reports) + Self.hooks(reports) { page.add(family) }
    if let current = try await control.generations().first(where: \.isCurrent) {
      page.add(
        MetricFamily(
          "yutu_plugin_generation", .gauge, "The number of the generation of plugins in force.",
          [.init(Double(current.number))]))
    }
    let (scripts, leftOut) = Self.scripts(try await control.series())
    for family in scripts { page.add(family) }
    page.add(
      MetricFamily(
        "yutu_script_series_left_out", .gauge,
        "Series of scripts that are not shown, because their name or labels clash with another's.",
        [.init(Double(leftOut))]))
    return Response(
      status: .ok,
      headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8", .cacheControl: "no-cache"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: page.text)))
  }

  private static func plugins(_ reports: [PluginReport]) -> [MetricFamily] {
    func samples(_ value: (PluginReport) -> Double) -> [MetricFamily.Sample] {
      reports.map { .init(value($0), [("plugin", $0.name)]) }
    }
    return [
      MetricFamily(
        "yutu_plugin_in_force", .gauge, "Whether the plugin's hooks are called.",
        samples { $0.isInForce ? 1 : 0 }),
      MetricFamily(
        "yutu_plugin_memory_bytes", .gauge, "Memory of the plugin's interpreter.",
        samples { Double($0.memoryBytes) }),
      MetricFamily(
        "yutu_plugin_problem", .gauge, "Why the newest text of the plugin is not in force; 1 while it is so.",
        reports.compactMap { report in
          report.problem.map { .init(1, [("plugin", report.name), ("reason", $0)]) }
        }),
    ]
  }

  private static func hooks(_ reports: [PluginReport]) -> [MetricFamily] {
    func samples(_ sample: (HookUsage, [(String, String)]) -> MetricFamily.Sample) -> [MetricFamily.Sample] {
      reports.flatMap { report in
        report.usage.sorted { $0.hook < $1.hook }.map {
          sample($0, [("plugin", report.name), ("hook", $0.hook)])
        }
      }
    }
    let bounds = HookUsage.bounds.map { Double($0) / 1e9 }
    return [
      MetricFamily(
        "yutu_plugin_calls_total", .counter, "Calls of the hook.",
        samples { .init(Double($0.calls), $1) }),
      MetricFamily(
        "yutu_plugin_errors_total", .counter, "Calls of the hook that failed.",
        samples { .init(Double($0.errors), $1) }),
      MetricFamily(
        "yutu_plugin_limit_hits_total", .counter,
        "Calls of the hook that a limit ended: instructions, time, memory, or cut off for a time.",
        samples { .init(Double($0.limitHits), $1) }),
      MetricFamily(
        "yutu_plugin_call_seconds", .histogram, "CPU time of the hook's calls.",
        samples {
          .init(bounds: bounds, counts: $0.counts, sum: Double($0.totalNanoseconds) / 1e9, $1)
        }),
    ]
  }

  /// - Returns: families by name, and how many series clash with what is there
  static func scripts(_ series: [ScriptSeries]) -> ([MetricFamily], leftOut: Int) {
    var families: [String: MetricFamily] = [:]
    var taken: [String: String] = ["yutu_script_series_left_out": ""]
    var seen: Set<[String]> = []
    var leftOut = 0
    // In an order that does not change from one look to the next, so that the same ones are left out.
    let ordered = series.map { ($0, labels(of: $0)) }.sorted {
      ($0.0.name, $0.0.plugin, $0.1.description) < ($1.0.name, $1.0.plugin, $1.1.description)
    }
    for (one, labels) in ordered {
      let name = "yutu_script_\(Exposition.name(one.name))"
      let (kind, sample) = sample(of: one, labels)
      let fresh = MetricFamily(
        name, kind, "Kept by scripts with metrics.\(kind.rawValue)(\"\(one.name)\").", [])
      let isOurs = fresh.sampleNames.allSatisfy { taken[$0] == nil || taken[$0] == name }
      guard isOurs, families[name]?.kind ?? kind == kind,
        Set(labels.map(\.0)).count == labels.count,
        seen.insert([name] + labels.flatMap { [$0.0, $0.1] }).inserted
      else {
        leftOut += 1
        continue
      }
      for sampleName in fresh.sampleNames { taken[sampleName] = name }
      families[name, default: fresh].samples.append(sample)
    }
    return (families.values.sorted { $0.name < $1.name }, leftOut)
  }

  private static func labels(of series: ScriptSeries) -> [(String, String)] {
    [("plugin", series.plugin)]
      + series.labels.map { (Exposition.label($0.key), $0.value) }.sorted { $0.0 < $1.0 }
  }

  private static func sample(of series: ScriptSeries, _ labels: [(String, String)])
    -> (MetricFamily.Kind, MetricFamily.Sample)
  {
    switch series.value {
    case .counter(let value): (.counter, .init(value, labels))
    case .gauge(let value): (.gauge, .init(value, labels))
    case .histogram(let bounds, let counts, let sum):
      (.histogram, .init(bounds: bounds, counts: counts, sum: sum, labels))
    }
  }
}
