/// Makes plugins of changed files, away from the core loop. Knows no exchange.

package import LuaRuntime

/// What the operator says about plugins.
package struct PluginOptions: Sendable {
  package var folder: String
  /// What a plugin's own `enabled` says, overruled.
  package var enabled: [String: Bool] = [:]
  package var settings: [String: [String: LuaValue]] = [:]
  package var limits = LuaLimits()
  package var routeBudget = LuaBudget.route
  package var hookBudget = LuaBudget.hook
  /// How much of a second a plugin may take.
  package var loopNanosecondsPerSecond = LoopAllowance.standard
  /// Who is asked at a login, in this order; nil: `internal`, then all enabled plugins by name.
  package var authChain: [String]?
  /// Clients may bind with `x-match = "lua"`.
  package var clientExpressions = false

  package init(folder: String) { self.folder = folder }
}

/// What is to change, in one step.
///
/// @unchecked Sendable: interpreters belong to one thread at a time. The loader makes them, keeps no
/// reference, and `take` hands them over once; it traps when it is called twice.
package final class PluginChanges: @unchecked Sendable {
  private var loaded: [Plugin]?
  package private(set) var removed: [String]
  package private(set) var problems: [PluginProblem]
  /// Those whose file could not be read before, or that had a namesake.
  package let healed: [String]

  init(loaded: [Plugin], removed: [String], problems: [PluginProblem], healed: [String] = []) {
    self.loaded = loaded
    self.removed = removed
    self.problems = problems
    self.healed = healed
  }

  var isEmpty: Bool { loaded?.isEmpty ?? true && removed.isEmpty && problems.isEmpty && healed.isEmpty }

  /// Exchange types and matchers whose bindings the new versions want to see.
  package var wanted: (types: Set<String>, matchers: Set<String>) {
    let plugins = loaded ?? []
    return (
      Set(plugins.filter(\.manifest.isExchangeType).map(\.name)),
      Set(plugins.filter { $0.manifest.matcher != nil }.map(\.name))
    )
  }

  /// Gives the new versions what exists: away from the core loop. One that refuses it is a problem.
  package func prepare(_ taken: BindingSnapshot) {
    var snapshot = taken
    snapshot.sort()
    var accepted: [Plugin] = []
    for plugin in loaded ?? [] {
      do throws(LuaError) {
        try plugin.prepare(snapshot)
        accepted.append(plugin)
      } catch {
        problems.append(
          PluginProblem(
            name: plugin.name, path: plugin.file.path, reason: "\(plugin.file.path): \(error.message)"))
      }
    }
    loaded = accepted
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
  /// What is in force, as far as whoever applies the changes says so: the same text need not come again.
  package var inForce: [String: PluginFile] = [:]

  package init(_ options: PluginOptions) {
    self.options = options
    folder = PluginFolder(path: options.folder)
  }

  /// - Returns: nil if nothing changed since the last call
  package mutating func changes() -> PluginChanges? {
    guard let contents = folder.contentsIfChanged(again: !missed.isEmpty) else { return nil }
    let changes = changes(contents) { [tried] file in tried[file.name] != file }
    return changes.isEmpty ? nil : changes
  }

  /// Looks at the folder whether it changed or not: all that is not in force as it stands there is tried.
  package mutating func reloaded() -> PluginChanges {
    guard let contents = folder.contentsIfChanged(again: true) else {
      return PluginChanges(loaded: [], removed: [], problems: folderProblems)
    }
    let here = Set(contents.files.map(\.name))
    missed.formUnion(inForce.keys.filter { !here.contains($0) })
    tried.merge(inForce) { known, _ in known }
    return changes(contents) { _ in true }
  }

  /// What leads from the plugins in force to those of an earlier generation.
  package func changes(to files: [String: PluginFile]) -> PluginChanges {
    var loaded: [Plugin] = []
    var problems: [PluginProblem] = []
    for file in files.values.sorted(by: { $0.name < $1.name }) where inForce[file.name] != file {
      do throws(LuaError) {
        loaded.append(try Plugin(file, options))
      } catch {
        problems.append(PluginProblem(file, error))
      }
    }
    let removed = inForce.keys.filter { files[$0] == nil }.sorted()
    return PluginChanges(loaded: loaded, removed: removed, problems: problems)
  }

  private mutating func changes(_ contents: PluginFolder.Contents, isNew: (PluginFile) -> Bool)
    -> PluginChanges
  {
    var loaded: [Plugin] = []
    var problems = contents.problems.filter { !folderProblems.contains($0) }
    let troubled = Set(contents.problems.map(\.name))
    var healed = Set(folderProblems.map(\.name)).subtracting(troubled)
    folderProblems = contents.problems
    for file in contents.files
    where isNew(file) || healed.contains(file.name) && refused.contains(file.name) {
      tried[file.name] = file
      guard inForce[file.name] != file else {
        if refused.remove(file.name) != nil { healed.insert(file.name) }
        continue
      }
      refused.remove(file.name)
      do throws(LuaError) {
        loaded.append(try Plugin(file, options))
      } catch {
        refused.insert(file.name)
        problems.append(PluginProblem(file, error))
      }
    }
    let removed = removed(except: troubled.union(contents.files.map(\.name)))
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
}

extension PluginProblem {
  fileprivate init(_ file: PluginFile, _ error: LuaError) {
    let reason = error.message.contains(".lua:") ? error.message : "\(file.path): \(error.message)"
    self.init(name: file.name, path: file.path, reason: reason)
  }
}
