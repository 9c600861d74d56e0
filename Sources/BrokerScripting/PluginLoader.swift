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
  /// Those whose file could not be read before, or that had a namesake.
  package let healed: [String]

  init(loaded: [Plugin], removed: [String], problems: [PluginProblem], healed: [String]) {
    self.loaded = loaded
    self.removed = removed
    self.problems = problems
    self.healed = healed
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
  /// Those whose text of last time was refused.
  private var refused: Set<String> = []
  /// Those that were not there at the last look. Some editors save by moving the old file away first: a plugin
  /// is removed when it is missed twice.
  private var missed: Set<String> = []

  package init(_ options: PluginOptions) {
    self.options = options
    folder = PluginFolder(path: options.folder)
  }

  /// - Returns: nil if nothing changed since the last call
  package mutating func changes() -> PluginChanges? {
    guard let contents = folder.contentsIfChanged(again: !missed.isEmpty) else { return nil }
    var loaded: [Plugin] = []
    var problems = contents.problems.filter { !folderProblems.contains($0) }
    let troubled = Set(contents.problems.map(\.name))
    let healed = Set(folderProblems.map(\.name)).subtracting(troubled)
    folderProblems = contents.problems
    // What is wrong with its text is said once more.
    for name in healed.intersection(refused) { tried[name] = nil }
    for file in contents.files where tried[file.name] != file {
      tried[file.name] = file
      refused.remove(file.name)
      do throws(LuaError) {
        loaded.append(
          try Plugin(file, settings: options.settings[file.name] ?? [:], limits: options.limits))
      } catch {
        refused.insert(file.name)
        let reason = error.message.contains(".lua:") ? error.message : "\(file.path): \(error.message)"
        problems.append(PluginProblem(name: file.name, path: file.path, reason: reason))
      }
    }
    let removed = removed(except: troubled.union(contents.files.map(\.name)))
    guard !loaded.isEmpty || !removed.isEmpty || !problems.isEmpty || !healed.isEmpty else { return nil }
    return PluginChanges(loaded: loaded, removed: removed, problems: problems, healed: healed.sorted())
  }

  private mutating func removed(except present: Set<String>) -> [String] {
    let absent = Set(tried.keys).subtracting(present)
    let removed = absent.intersection(missed).sorted()
    missed = absent.subtracting(removed)
    for name in removed {
      tried[name] = nil
      refused.remove(name)
    }
    return removed
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
