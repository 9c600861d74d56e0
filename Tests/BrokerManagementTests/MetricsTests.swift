/// `/metrics`: what it tells, and that Prometheus can read it.

import HummingbirdTesting
import LuaRuntime
import Testing

@testable import BrokerManagement
@testable import BrokerScripting

@Suite struct `The metrics` {
  private func page(_ control: FakeControl = FakeControl()) async throws -> [Substring] {
    let text = Box()
    try await House.run(control) { house in
      let answer = try await house.call(.get, "/metrics", login: nil)
      #expect(answer.status == 200)
      #expect(answer.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
      await text.put(answer.text)
    }
    let page = await text.text
    #expect(page.hasSuffix("\n"))
    return page.split(separator: "\n")
  }

  private actor Box {
    var text = ""
    func put(_ new: String) { text = new }
  }

  private func series(
    _ plugin: String, _ name: String, _ labels: [String: String], _ value: ScriptSeries.Value
  ) -> ScriptSeries {
    ScriptSeries(plugin: plugin, name: name, labels: labels, value: value)
  }

  private func series(_ plugin: String, _ name: String, _ value: ScriptSeries.Value) -> ScriptSeries {
    series(plugin, name, [:], value)
  }

  @Test func `need no login, and tell of the process`() async throws {
    let lines = try await page()
    #expect(lines.contains("yutu_build_info{version=\"1.2.3\"} 1"))
    #expect(lines.contains("yutu_plugin_generation 2"))
    for name in [
      "process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds", "process_max_fds",
      "process_start_time_seconds",
    ] {
      let line = lines.first { $0.hasPrefix("\(name) ") }
      #expect(line.flatMap { Double($0.dropFirst(name.count + 1)) } ?? 0 > 0, "\(name)")
    }
  }

  @Test func `tell of each plugin and hook`() async throws {
    var usage = HookUsage(hook: "exchange.route")
    usage.calls = 7
    usage.errors = 2
    usage.limitHits = 1
    usage.totalNanoseconds = 1_500_000_000
    usage.counts[0] = 3
    usage.counts[1] = 2
    usage.counts[16] = 2
    let lines = try await page(
      FakeControl(all: [.sample("b", problem: "b.lua:1: \"oh\"\nno \\"), .sample("a", usage: [usage])]))
    #expect(lines.contains("yutu_plugin_calls_total{plugin=\"a\",hook=\"exchange.route\"} 7"))
    #expect(lines.contains("yutu_plugin_errors_total{plugin=\"a\",hook=\"exchange.route\"} 2"))
    #expect(lines.contains("yutu_plugin_limit_hits_total{plugin=\"a\",hook=\"exchange.route\"} 1"))
    #expect(lines.contains("yutu_plugin_memory_bytes{plugin=\"b\"} 65536"))
    #expect(lines.contains("yutu_plugin_in_force{plugin=\"a\"} 1"))
    #expect(lines.contains("yutu_plugin_in_force{plugin=\"b\"} 0"))
    #expect(lines.contains("yutu_plugin_problem{plugin=\"b\",reason=\"b.lua:1: \\\"oh\\\"\\nno \\\\\"} 1"))
    let buckets = lines.filter { $0.hasPrefix("yutu_plugin_call_seconds_bucket") }
    #expect(buckets.count == HookUsage.bounds.count + 1)
    #expect(
      buckets.first == "yutu_plugin_call_seconds_bucket{plugin=\"a\",hook=\"exchange.route\",le=\"1e-06\"} 3")
    #expect(buckets[1].hasSuffix("le=\"2e-06\"} 5"))
    #expect(buckets[15].hasSuffix("le=\"0.1\"} 5"))
    #expect(buckets.last?.hasSuffix("le=\"+Inf\"} 7") == true)
    #expect(lines.contains("yutu_plugin_call_seconds_sum{plugin=\"a\",hook=\"exchange.route\"} 1.5"))
    #expect(lines.contains("yutu_plugin_call_seconds_count{plugin=\"a\",hook=\"exchange.route\"} 7"))
  }

  @Test func `tell what scripts count`() async throws {
    let lines = try await page(
      FakeControl(kept: [
        series("b", "orders", ["place": "a\"b"], .counter(2)), series("a", "orders", .counter(1.5)),
        series("a", "depth", .gauge(-.infinity)),
        series(
          "a", "size", ["le": "x", "9": "y"], .histogram(bounds: [1, 10], counts: [1, 0, 2], sum: 33)),
      ]))
    #expect(lines.contains("yutu_script_orders{plugin=\"a\"} 1.5"))
    #expect(lines.contains("yutu_script_orders{plugin=\"b\",place=\"a\\\"b\"} 2"))
    #expect(lines.contains("yutu_script_depth{plugin=\"a\"} -Inf"))
    let labels = "plugin=\"a\",script_9=\"y\",script_le=\"x\""
    #expect(lines.contains("yutu_script_size_bucket{\(labels),le=\"1\"} 1"))
    #expect(lines.contains("yutu_script_size_bucket{\(labels),le=\"10\"} 1"))
    #expect(lines.contains("yutu_script_size_bucket{\(labels),le=\"+Inf\"} 3"))
    #expect(lines.contains("yutu_script_size_sum{\(labels)} 33"))
    #expect(lines.contains("yutu_script_size_count{\(labels)} 3"))
    #expect(lines.contains("yutu_script_series_left_out 0"))
  }

  @Test func `leave out what clashes, and count it`() async throws {
    let kept = [
      series("a", "x", .counter(1)), series("b", "x", .gauge(2)),  // another type
      series("a", "x_count", .counter(1)), series("b", "y-1", .counter(1)), series("b", "y_1", .counter(2)),
      series("c", "z", ["a-b": "1", "a_b": "2"], .counter(1)),  // the same label twice
      series("d", "h_sum", .counter(1)), series("d", "h", .histogram(bounds: [], counts: [1], sum: 1)),
      series("e", "series_left_out", .counter(9)), series("f", "", .counter(3)),
      series("f", "w", ["": "1", "plugin": "2", "__name__": "3", "ü": "4"], .counter(5)),
    ]
    let lines = try await page(FakeControl(kept: kept))
    #expect(lines.contains("yutu_script_x{plugin=\"a\"} 1"))
    #expect(!lines.contains { $0.hasPrefix("yutu_script_x{plugin=\"b\"") })
    #expect(lines.contains("yutu_script_x_count{plugin=\"a\"} 1"))
    #expect(lines.contains("yutu_script_y_1{plugin=\"b\"} 1"))
    #expect(lines.filter { $0.hasPrefix("yutu_script_y_1{") }.count == 1)
    #expect(lines.contains("yutu_script_{plugin=\"f\"} 3"))
    #expect(
      lines.contains(
        "yutu_script_w{plugin=\"f\",_=\"4\",script_=\"1\",script___name__=\"3\",script_plugin=\"2\"} 5"))
    #expect(lines.contains("yutu_script_series_left_out 5"))
  }

  /// What promtool would say: names, one TYPE a name before its samples, no sample twice.
  @Test func `keep to the format`() async throws {
    var usage = HookUsage(hook: "filters.publish")
    usage.counts[3] = 1
    usage.calls = 1
    let lines = try await page(
      FakeControl(
        all: [.sample("a", usage: [usage]), .sample("ü\"", problem: "no", usage: [usage])],
        kept: [
          series("a", "héllo w:1", ["k k": "v\\"], .gauge(.nan)), series("b", "héllo w:1", .gauge(1)),
        ]))
    var types: [Substring: Substring] = [:]
    var current: Substring = ""
    var seen: Set<Substring> = []
    for line in lines {
      if line.hasPrefix("#") {
        let parts = line.split(separator: " ", maxSplits: 3)
        if parts[1] == "HELP" {
          current = parts[2]
        } else {
          #expect(parts[2] == current)
          #expect(types.updateValue(parts[3], forKey: parts[2]) == nil)
        }
        continue
      }
      let pattern =
        /([a-zA-Z_:][a-zA-Z0-9_:]*)((?:\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)+\})?) (NaN|[+-]Inf|[-+0-9.e]+)/
      let match = try #require(line.wholeMatch(of: pattern), "\(line)")
      let ends = ["", "_bucket", "_sum", "_count"].map { "\(current)\($0)" }
      #expect(types[current] == "histogram" ? ends.contains(String(match.1)) : match.1 == current)
      #expect(seen.insert(line.prefix(match.1.count + match.2.count)).inserted, "\(line)")
    }
    #expect(types.count > 10)
  }
}
