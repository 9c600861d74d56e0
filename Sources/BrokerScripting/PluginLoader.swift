/// Makes plugins of changed files, away from the core loop. Knows no exchange.

internal import Foundation
package import LuaRuntime

/// What the operator says about plugins.
package struct PluginOptions: Sendable {
  package var folder: String
  /// What a plugin's own `enabled` says, overruled.
  package var enabled: [String: Bool] = [:]
  package var settings: [String: [String: LuaValue]] = [:]
  package var limits = LuaLimits()

  package init(folder: String) { self.folder = folder }
}

/// What is to change, in one step.
///
/// @unchecked Sendable: interpreters belong to one thread at a time. The loader makes them, keeps no
/// reference, and `take` hands them over once; it traps when it is called twice.
package final class PluginChanges: @unchecked Sendable {
  private var loaded: [Plugin]?
  package let removed: [String]
  package let problems: [PluginProblem]

  init(loaded: [Plugin], removed: [String], problems: [PluginProblem]) {
    self.loaded = loaded
    self.removed = removed
    self.problems = problems
  }

  func take() -> [Plugin] {
    guard let plugins = loaded else { preconditionFailure("changes are applied once") }
    loaded = nil
    return plugins
  }
}

package struct PluginLoader {
  private let options: PluginOptions
  private var folder: PluginFolder
  /// Each file as it was when it was last tried.
  private var tried: [String: PluginFile] = [:]
  private var folderProblems: [PluginProblem] = []

  package init(_ options: PluginOptions) {
    self.options = options
    folder = PluginFolder(path: options.folder)
  }

  /// - Returns: nil if nothing changed since the last call
  package mutating func changes() -> PluginChanges? {
    guard let contents = folder.contentsIfChanged() else { return nil }
    var loaded: [Plugin] = []
    var problems = contents.problems.filter { !folderProblems.contains($0) }
    folderProblems = contents.problems
    for file in contents.files where tried[file.name] != file {
      tried[file.name] = file
      do throws(LuaError) {
        loaded.append(
          try Plugin(file, settings: options.settings[file.name] ?? [:], limits: options.limits))
      } catch {
        let reason = error.message.contains(".lua:") ? error.message : "\(file.path): \(error.message)"
        problems.append(PluginProblem(name: file.name, path: file.path, reason: reason))
      }
    }
    let names = Set(contents.files.map(\.name))
    let removed = tried.keys.filter { !names.contains($0) }.sorted()
    for name in removed { tried[name] = nil }
    guard !loaded.isEmpty || !removed.isEmpty || !problems.isEmpty else { return nil }
    return PluginChanges(loaded: loaded, removed: removed, problems: problems)
  }

  /// Looks each second, on a thread of its own, until `deliver` says false.
  package consuming func watch(deliver: @escaping @Sendable (PluginChanges) -> Bool) {
    let loader = UncheckedLoader(loader: self)
    let thread = Thread {
      var loader = loader.loader
      while true {
        Thread.sleep(forTimeInterval: 1)
        if let changes = loader.changes(), !deliver(changes) { return }
      }
    }
    thread.name = "plugins"
    thread.start()
  }
}

/// @unchecked Sendable: `watch` consumes the loader, so that its thread is the only one that has it.
private struct UncheckedLoader: @unchecked Sendable { let loader: PluginLoader }
