/// Watches the folder, makes new versions away from the core loop, and keeps the last generations. Knows no
/// script's inside.
///
///     look at the folder ─> compile, test ─> snapshot (core loop) ─> bind what exists ─> switch (core loop)

internal import BrokerCore
internal import Foundation
internal import LuaRuntime
package import NIOCore

package actor PluginRoom: PluginControl {
  static let mostGenerations = 10

  private struct Generation {
    let report: GenerationReport
    let files: [String: PluginFile]
  }

  private let host: NIOLoopBound<PluginHost>
  private let loop: any EventLoop
  private var loader: PluginLoader
  private var generations: [Generation] = []
  private var number = 0
  /// One change at a time: each waits for the one before it.
  private var last: Task<ReloadReport, any Error>?
  private var isStopped = false

  package init(_ host: NIOLoopBound<PluginHost>, _ loop: any EventLoop, _ options: PluginOptions) {
    self.host = host
    self.loop = loop
    loader = PluginLoader(options)
  }

  private func onLoop<Result: Sendable>(
    _ body: @escaping @Sendable (PluginHost) throws -> Result
  ) async throws -> Result {
    let host = host
    return try await loop.submit { try body(host.value) }.get()
  }

  // MARK: changes

  /// Loads what is in the folder: before the first client comes.
  @discardableResult
  package func start() async throws -> ReloadReport {
    try await inTurn { room in
      guard let changes = room.loader.changes() else { return nil }
      return (changes, "start")
    }
  }

  /// Looks each second until `stop`.
  package func watch() async {
    while !isStopped {
      try? await Task.sleep(for: .seconds(1))
      guard !isStopped else { return }
      _ = try? await inTurn { room in
        guard let changes = room.loader.changes() else { return nil }
        return (changes, "files changed")
      }
    }
  }

  package func stop() { isStopped = true }

  @discardableResult
  package func reload() async throws -> ReloadReport {
    try await inTurn { room in (room.loader.reloaded(), "reload asked for") }
  }

  package func rollBack(to generation: Int) async throws -> ReloadReport {
    guard let target = generations.first(where: { $0.report.number == generation }) else {
      let kept = generations.map { "\($0.report.number)" }.joined(separator: ", ")
      throw PluginControlError("no generation \(generation) is kept; expected one of \(kept)")
    }
    return try await inTurn { room in
      (room.loader.changes(to: target.files), "rolled back to \(generation)")
    }
  }

  private func inTurn(
    _ find: @escaping @Sendable (isolated PluginRoom) -> (PluginChanges, String)?
  ) async throws -> ReloadReport {
    let before = last
    let task = Task {
      _ = await before?.result
      guard let (changes, cause) = find(self) else {
        return ReloadReport(generation: number, changed: [], removed: [], problems: [:])
      }
      return try await put(changes, cause)
    }
    last = task
    return try await task.value
  }

  private func put(_ changes: PluginChanges, _ cause: String) async throws -> ReloadReport {
    changes.prepare(try await snapshot(for: changes))
    let (applied, files) = try await onLoop { host in (host.apply(changes), host.files) }
    loader.inForce = files
    var report = applied
    if !applied.changed.isEmpty || !applied.removed.isEmpty {
      number += 1
      keep(files, cause)
    }
    report.generation = number
    return report
  }

  /// A turn of the loop for each step.
  private func snapshot(for changes: PluginChanges) async throws -> BindingSnapshot {
    let loop = loop
    let survey = try await onLoop { NIOLoopBound($0.survey(for: changes), eventLoop: loop) }
    while true {
      if let snapshot = try await onLoop({ _ in survey.value.advance() }) { return snapshot }
    }
  }

  private func keep(_ files: [String: PluginFile], _ cause: String) {
    let report = GenerationReport(
      number: number, time: Date().timeIntervalSince1970, cause: cause, isCurrent: false,
      plugins: files.mapValues(\.shortHash))
    generations.append(Generation(report: report, files: files))
    if generations.count > Self.mostGenerations { generations.removeFirst() }
  }

  // MARK: reports

  package func generations() async throws -> [GenerationReport] {
    generations.map { generation in
      var report = generation.report
      report.isCurrent = report.number == number
      return report
    }
  }

  package func reports() async throws -> [PluginReport] { try await onLoop { $0.reports() } }
  package func series() async throws -> [ScriptSeries] { try await onLoop { $0.series() } }
  package func statuses() async throws -> [PluginHost.Status] { try await onLoop { $0.statuses } }

  package func explain(_ request: ExplainRequest) async throws -> ExplainReport {
    try await onLoop { try $0.explain(request) }
  }
}

extension PluginFile {
  /// Tells two versions apart for a person: FNV-1a of all texts.
  fileprivate var shortHash: String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for text in [source, tests?.source ?? ""] + modules.map(\.source) {
      for octet in text.utf8 { hash = (hash ^ UInt64(octet)) &* 0x100_0000_01b3 }
    }
    return String(String(hash, radix: 16).suffix(8))
  }
}
