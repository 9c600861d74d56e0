/// What the system says of this process, under the names that Prometheus' own clients use. What the system
/// does not tell is left out.

internal import Foundation

enum ProcessFigures {
  static let startTime = startTimeSeconds()

  static func families() -> [MetricFamily] {
    [
      family("process_resident_memory_bytes", .gauge, "Resident memory.", residentBytes()),
      family("process_cpu_seconds_total", .counter, "CPU time of all threads.", cpuSeconds()),
      family("process_open_fds", .gauge, "Open file descriptors.", openDescriptors()),
      family("process_max_fds", .gauge, "The most file descriptors that may be open.", mostDescriptors()),
      family("process_start_time_seconds", .gauge, "When the process began, since 1970.", startTime),
    ]
  }

  private static func family(
    _ name: String, _ kind: MetricFamily.Kind, _ help: String, _ value: Double?
  ) -> MetricFamily {
    MetricFamily(name, kind, help, value.map { [.init($0)] } ?? [])
  }

  static func residentBytes() -> Double? {
    // Pages: all, resident, shared, …
    guard let pages = read("/proc/self/statm")?.split(separator: " "), pages.count > 1 else { return nil }
    return Double(pages[1]).map { $0 * Double(sysconf(Int32(_SC_PAGESIZE))) }
  }

  private static func cpuSeconds() -> Double? {
    var time = timespec()
    guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return nil }
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  static func openDescriptors() -> Double? {
    // One of them is that of the look itself.
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")).map { Double($0.count - 1) }
  }

  static func mostDescriptors() -> Double? {
    let limits = read("/proc/self/limits")?.split(separator: "\n")
    let line = limits?.first { $0.hasPrefix("Max open files") }
    return line?.split(separator: " ").dropFirst(3).first.flatMap { Double($0) }
  }

  /// Field 22 of /proc/self/stat, in ticks since the machine began; what is in parentheses may be anything.
  private static func startTimeSeconds() -> Double? {
    guard let fields = read("/proc/self/stat")?.split(separator: ")").last?.split(separator: " "),
      fields.count > 19, let ticks = Double(fields[19]),
      let booted = read("/proc/stat")?.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
      let seconds = Double(booted.dropFirst(6))
    else { return nil }
    return seconds + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  private static func read(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}
