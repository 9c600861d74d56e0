/// The folder of plugins: which files there are, and whether any changed. Knows no Lua but the word
/// `require`.
///
///     plugins/<folder>/<name>.lua          a plugin, <name>_test.lua beside it its tests
///     plugins/<folder>/<name>/init.lua     the same, with modules of its own beside it
///     plugins/_lib/                        modules for all; nothing else with a leading `_` or `.` is read

internal import Foundation

/// All that makes up one plugin. Two that are equal behave alike.
package struct PluginFile: Sendable, Equatable {
  package struct Text: Sendable, Equatable {
    package let path: String
    package let source: String
  }

  package struct Module: Sendable, Equatable {
    package let name: String
    package let path: String
    package let source: String
  }

  package let name: String
  package let path: String
  package let source: String
  package let tests: Text?
  package let modules: [Module]

  package init(name: String, path: String, source: String, tests: Text? = nil, modules: [Module] = []) {
    self.name = name
    self.path = path
    self.source = source
    self.tests = tests
    self.modules = modules
  }
}

package struct PluginProblem: Sendable, Equatable {
  package let name: String
  package let path: String
  package let reason: String
}

package struct PluginFolder {
  static let mostFiles = 2000
  static let mostBytes = 1 << 20
  static let deepest = 4

  package struct Contents {
    package var files: [PluginFile] = []
    package var problems: [PluginProblem] = []
  }

  private struct Entry: Equatable {
    let path: String
    let bytes: Int
    let modified: Date?
    let inode: Int
  }

  private let root: URL
  private var seen: [Entry]?
  private var last = Contents()
  /// A file was written so shortly before the last look that its time would not tell of one more change.
  private var isFresh = false
  /// The folder itself could not be read at the last look.
  private var isAway = false

  package init(path: String) { root = URL(filePath: path) }

  /// A folder that cannot be read, as on a network disk that is away, holds what it held.
  /// - Returns: nil if no file was added, removed, or has another size or time than at the last look, unless
  ///   `again` asks for them all the same
  package mutating func contentsIfChanged(again: Bool = false) -> Contents? {
    guard (try? FileManager.default.contentsOfDirectory(atPath: root.path)) != nil else { return away() }
    var entries: [Entry] = []
    list("", depth: 0, into: &entries)
    entries.sort { $0.path < $1.path }
    guard entries != seen || again || isFresh || isAway else { return nil }
    seen = entries
    isAway = false
    isFresh = entries.contains { abs($0.modified?.timeIntervalSinceNow ?? 0) < 2 }
    last = read(entries)
    return last
  }

  private mutating func away() -> Contents? {
    guard !isAway else { return nil }
    isAway = true
    var contents = last
    contents.problems.append(
      PluginProblem(
        name: root.lastPathComponent, path: root.path,
        reason: "the folder \(root.path) cannot be read; its plugins stay as they are"))
    return contents
  }

  private func list(_ folder: String, depth: Int, into entries: inout [Entry]) {
    guard depth < Self.deepest,
      let names = try? FileManager.default.contentsOfDirectory(atPath: root.appending(path: folder).path)
    else { return }
    for name in names where !name.hasPrefix(".") && entries.count < Self.mostFiles {
      let path = folder.isEmpty ? name : "\(folder)/\(name)"
      // Follows symbolic links: a swapped link is a change of the file behind it.
      let target = root.appending(path: path).resolvingSymlinksInPath().path
      guard let attributes = try? FileManager.default.attributesOfItem(atPath: target) else { continue }
      if attributes[.type] as? FileAttributeType == .typeDirectory {
        if !name.hasPrefix("_") || path == "_lib" || folder.hasPrefix("_lib") {
          list(path, depth: depth + 1, into: &entries)
        }
      } else if name.hasSuffix(".lua"), attributes[.type] as? FileAttributeType == .typeRegular {
        entries.append(
          Entry(
            path: path, bytes: (attributes[.size] as? Int) ?? 0,
            modified: attributes[.modificationDate] as? Date,
            inode: (attributes[.systemFileNumber] as? Int) ?? 0))
      }
    }
  }

  // MARK: reading

  private func read(_ entries: [Entry]) -> Contents {
    var contents = Contents()
    var texts: [String: String] = [:]
    for entry in entries {
      guard entry.bytes <= Self.mostBytes else {
        contents.problems.append(problem(entry.path, "is larger than \(Self.mostBytes) bytes"))
        continue
      }
      guard let bytes = try? Data(contentsOf: root.appending(path: entry.path)) else {
        contents.problems.append(problem(entry.path, "cannot be read"))
        continue
      }
      guard let text = String(validating: bytes, as: UTF8.self) else {
        contents.problems.append(problem(entry.path, "is not UTF-8"))
        continue
      }
      texts[entry.path] = text
    }
    if entries.count >= Self.mostFiles {
      contents.problems.append(problem(root.lastPathComponent, "holds more than \(Self.mostFiles) files"))
    }
    var names: Set<String> = []
    for path in texts.keys.sorted() {
      if !path.contains("/"), !path.hasPrefix("_"), !path.hasSuffix("_test.lua") {
        contents.problems.append(problem(path, "stands in no folder; expected <folder>/\(path)"))
      }
      guard let source = texts[path], let (name, own) = plugin(at: path, among: texts) else { continue }
      guard names.insert(name).inserted else {
        contents.problems.append(problem(path, "another file is called '\(name)' too"))
        continue
      }
      let testPath = own.map { "\($0)/init_test.lua" } ?? "\(path.dropLast(4))_test.lua"
      let tests = texts[testPath].map { PluginFile.Text(path: testPath, source: $0) }
      let modules = Self.modules(of: [source, tests?.source ?? ""], in: [own, "_lib"].compactMap { $0 }) {
        texts[$0]
      }
      contents.files.append(
        PluginFile(name: name, path: path, source: source, tests: tests, modules: modules))
    }
    return contents
  }

  private func problem(_ path: String, _ reason: String) -> PluginProblem {
    PluginProblem(name: PluginFolder.name(of: path), path: path, reason: "\(path): \(reason)")
  }

  private static func name(of path: String) -> String {
    let parts = path.split(separator: "/").map(String.init)
    guard let last = parts.last else { return path }
    return last == "init.lua" && parts.count > 1 ? parts[parts.count - 2] : String(last.dropLast(4))
  }

  /// The plugin that this file is, and the folder of its own if it has one.
  private func plugin(at path: String, among texts: [String: String]) -> (name: String, own: String?)? {
    let parts = path.split(separator: "/").map(String.init)
    guard parts.count >= 2, !parts.contains(where: { $0.hasPrefix("_") }), let last = parts.last,
      !last.hasSuffix("_test.lua")
    else { return nil }
    let folders = parts.dropLast().indices.dropFirst().map { parts[...$0].joined(separator: "/") }
    let own = folders.first { texts["\($0)/init.lua"] != nil }
    if let own, path != "\(own)/init.lua" { return nil }
    return (Self.name(of: path), own)
  }

  /// What is required, from the plugin's own folder or from `_lib`, and what that requires in turn.
  static func modules(of sources: [String], in folders: [String], text: (String) -> String?) -> [PluginFile
    .Module]
  {
    var modules: [String: PluginFile.Module] = [:]
    var waiting = sources
    while let source = waiting.popLast() {
      for match in source.matches(of: /require\s{0,16}\(?\s{0,16}["']([A-Za-z0-9_.\-]+)["']/) {
        let name = String(match.1)
        guard modules[name] == nil else { continue }
        let place = name.replacing(".", with: "/")
        for folder in folders {
          let path = "\(folder)/\(place).lua"
          guard let text = text(path) else { continue }
          modules[name] = PluginFile.Module(name: name, path: path, source: text)
          waiting.append(text)
          break
        }
      }
    }
    return modules.values.sorted { $0.name < $1.name }
  }
}
