/// One plugin read from the path that a person typed: for the tools, without a broker and its folder. Knows no
/// Lua.

internal import Foundation

package enum PluginDisk {
  package struct Problem: Error, Equatable, CustomStringConvertible {
    package let description: String
  }

  /// - Parameter path: of a plugin or of its tests; paths in what is given back begin like it
  package static func file(at path: String) throws(Problem) -> PluginFile {
    let plugin = path.hasSuffix("_test.lua") ? "\(path.dropLast("_test.lua".count)).lua" : path
    guard plugin.hasSuffix(".lua") else {
      throw Problem(description: "\(path): a plugin's name ends in .lua")
    }
    guard let source = try text(of: plugin) else { throw Problem(description: "\(plugin): no such file") }
    let testPath = "\(plugin.dropLast(4))_test.lua"
    let tests = try text(of: testPath).map { PluginFile.Text(path: testPath, source: $0) }
    let folder = folder(of: plugin)
    let isInit = plugin == "init.lua" || plugin.hasSuffix("/init.lua")
    let modules = PluginFolder.modules(
      of: [source, tests?.source ?? ""], in: (isInit ? [folder] : []) + libraries(above: folder)
    ) { path in (try? text(of: path)) ?? nil }
    return PluginFile(
      name: name(of: plugin), path: plugin, source: source, tests: tests, modules: modules)
  }

  /// The plugins in a folder and below it; those whose name begins with `_` or `.` are none.
  package static func plugins(below folder: String) -> [String] {
    var paths: [String] = []
    var waiting = [(folder, 0)]
    while let (folder, depth) = waiting.popLast(), paths.count < PluginFolder.mostFiles {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: folder))?.sorted() ?? []
      for name in names where !name.hasPrefix("_") && !name.hasPrefix(".") {
        let path = "\(folder == "/" ? "" : folder)/\(name)"
        if isFolder(path) {
          let own = "\(path)/init.lua"
          if FileManager.default.fileExists(atPath: own) {
            paths.append(own)
          } else if depth < PluginFolder.deepest {
            waiting.append((path, depth + 1))
          }
        } else if name.hasSuffix(".lua"), !name.hasSuffix("_test.lua") {
          paths.append(path)
        }
      }
    }
    return paths.sorted()
  }

  package static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func name(of path: String) -> String {
    let whole = URL(filePath: path).standardizedFileURL
    let last = whole.deletingPathExtension().lastPathComponent
    return last == "init" ? whole.deletingLastPathComponent().lastPathComponent : last
  }

  /// `_lib` beside the folder's parents, the nearest first.
  private static func libraries(above folder: String) -> [String] {
    var libraries: [String] = []
    var above = folder
    for _ in 0..<PluginFolder.deepest {
      if isFolder("\(above)/_lib") { libraries.append("\(above)/_lib") }
      let isRelative = above == "." || above.hasSuffix("..") || !above.contains("/")
      above =
        above == "."
        ? ".." : above.hasSuffix("..") ? "\(above)/.." : isRelative ? "." : self.folder(of: above)
    }
    return libraries
  }

  /// - Returns: nil if there is none
  private static func text(of path: String) throws(Problem) -> String? {
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    guard !isFolder(path), let octets = FileManager.default.contents(atPath: path) else {
      throw Problem(description: "\(path): cannot be read")
    }
    guard octets.count <= PluginFolder.mostBytes else {
      throw Problem(description: "\(path): is larger than \(PluginFolder.mostBytes) bytes")
    }
    return String(decoding: octets, as: UTF8.self)
  }
}
