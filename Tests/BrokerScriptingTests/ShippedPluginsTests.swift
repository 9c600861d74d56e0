/// What ships: every plugin loads with its tests passing, has a page, and the Lua in the documents runs.

import Foundation
import LuaRuntime
import Testing

@testable import BrokerScripting

@Suite struct `What ships` {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized

  private let pages = root.appending(path: "docs/plugins")

  private func shipped() -> PluginFolder.Contents {
    var folder = PluginFolder(path: Self.root.appending(path: "plugins").path)
    return folder.contentsIfChanged() ?? PluginFolder.Contents()
  }

  @Test func `every plugin loads, has tests, and passes them`() throws {
    var loader = PluginLoader(PluginOptions(folder: Self.root.appending(path: "plugins").path))
    let found = loader.changes()
    let changes = try #require(found)
    #expect(changes.problems == [])
    let plugins = changes.take()
    #expect(plugins.count >= 20)
    for plugin in plugins {
      #expect(plugin.file.tests != nil, "\(plugin.name) has no tests")
      #expect(!plugin.manifest.about.isEmpty, "\(plugin.name) does not say what it is about")
      // A fresh broker behaves like any standard one: nothing looks at logins and messages unasked.
      let isInert = plugin.manifest.isExchangeType || plugin.manifest.matcher != nil
      #expect(plugin.manifest.enabled == isInert, "\(plugin.name) says enabled = \(plugin.manifest.enabled)")
    }
  }

  @Test func `every plugin is a short file that begins with what it is`() throws {
    for file in shipped().files {
      let lines = file.source.split(separator: "\n", omittingEmptySubsequences: false)
      #expect(lines.count <= 121, "\(file.path) has \(lines.count - 1) lines")
      #expect(file.source.hasPrefix("--- "), "\(file.path) begins without a doc comment")
      #expect(file.source.contains("\n---@type yutu.Plugin\n"), "\(file.path) has no type for editors")
    }
  }

  @Test func `every plugin has a page, and the index names every page`() throws {
    let index = try String(contentsOf: pages.appending(path: "README.md"), encoding: .utf8)
    let names = shipped().files.map(\.name)
    for name in names {
      #expect(index.contains("](\(name).md)"), "docs/plugins/README.md has no link to \(name).md")
      let page = try? String(contentsOf: pages.appending(path: "\(name).md"), encoding: .utf8)
      let isTitled = page?.hasPrefix("# \(name)\n") == true
      #expect(isTitled, "docs/plugins/\(name).md is missing or has another title")
    }
    let found = try FileManager.default.contentsOfDirectory(atPath: pages.path)
    #expect(Set(found) == Set(names.map { "\($0).md" } + ["README.md"]))
  }

  /// Their tests are about the defaults.
  @Test func `no setting of the operator's keeps a plugin out of force`() throws {
    var options = PluginOptions(folder: Self.root.appending(path: "plugins").path)
    let globs = ["exchanges": LuaValue.list([.text("orders.*")])]
    options.settings = [
      "rate-limit": globs, "deduplicate": globs, "flash-sale": globs, "stamp": ["user": .text("who")],
      "size-limit": ["max_body": .integer(1)], "retry": ["tries": .integer(1)],
    ]
    var loader = PluginLoader(options)
    let found = loader.changes()
    let changes = try #require(found)
    #expect(changes.problems == [])
    let limited = try #require(changes.take().first { $0.name == "rate-limit" })
    #expect(limited.manifest.filters[.publish]?.names == ["orders.*"])
  }

  @Test func `every setting stands on its plugin's page with its default`() throws {
    var loader = PluginLoader(PluginOptions(folder: Self.root.appending(path: "plugins").path))
    for plugin in loader.changes()?.take() ?? [] {
      let page = try String(contentsOf: pages.appending(path: "\(plugin.name).md"), encoding: .utf8)
      for (name, setting) in plugin.manifest.settings {
        let row = page.split(separator: "\n").first { $0.hasPrefix("| `\(name)` |") }
        let isEmptyList = setting.kind == .list && setting.standard == .table([:])
        let shown = isEmptyList ? "[]" : setting.standard.map(Self.shown) ?? ""
        #expect(
          row?.hasPrefix("| `\(name)` | `\(shown)` |") == true, "\(plugin.name).md: `\(name)` is `\(shown)`")
      }
    }
  }

  private static func shown(_ value: LuaValue) -> String {
    switch value {
    case .text(let text): "\"\(text)\""
    case .list(let items): "[" + items.map(shown).joined(separator: ", ") + "]"
    case .table(let fields) where fields.isEmpty: "{}"
    default: value.shown
    }
  }

  @Test func `a queue that is bound late finds what was published before`() throws {
    let workshop = try Workshop { $0.folder = Self.root.appending(path: "plugins").path }
    workshop.reload()
    try workshop.declare("history", "x-recent-history", arguments: ["x-recent-history-length": 2])
    try workshop.declare("values", "x-last-value")
    for key in ["a", "b", "b"] {
      _ = try workshop.route("history", key: key)
      _ = try workshop.route("values", key: key)
    }
    try workshop.bind("history", "late")
    try workshop.bind("values", "last", key: "b")
    try workshop.bind("values", "none", key: "c")
    workshop.broker.runLater()
    #expect(try ["late", "last", "none"].map { try workshop.vhost.queue($0).readyCount } == [2, 1, 0])
  }

  // MARK: The Lua in documents

  struct Block: CustomTestStringConvertible, Sendable {
    let path: String
    let line: Int
    let source: String
    var isTest: Bool { source.contains("require(\"yutu.test\")") }
    var testDescription: String { "\(path):\(line)" }
    /// So that errors have the document's lines.
    var placed: String { String(repeating: "\n", count: line) + source }
  }

  /// A block of tests, and the plugin block before it; or a plugin block alone.
  struct Example: CustomTestStringConvertible, Sendable {
    let plugin: Block?
    let test: Block?
    var testDescription: String { (test ?? plugin)?.testDescription ?? "" }
  }

  static var documents: [String] {
    let docs = root.appending(path: "docs")
    let below = (try? FileManager.default.subpathsOfDirectory(atPath: docs.path)) ?? []
    let pages = below.filter { $0.hasSuffix(".md") }.sorted().map { "docs/\($0)" }
    return ["README.md", "plugins/README.md"] + pages
  }

  static func blocks(of path: String) -> [Block] {
    let text = (try? String(contentsOf: root.appending(path: path), encoding: .utf8)) ?? ""
    var blocks: [Block] = []
    var open: (line: Int, lines: [Substring])?
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.hasPrefix("```"), let block = open {
        blocks.append(Block(path: path, line: block.line, source: block.lines.joined(separator: "\n")))
        open = nil
      } else if open != nil {
        open?.lines.append(line)
      } else if line == "```lua" {
        open = (number + 1, [])
      }
    }
    return blocks
  }

  static let examples = documents.flatMap { path in
    var examples: [Example] = []
    var last: Block?
    for block in blocks(of: path) {
      if !block.isTest { last = block }
      examples.append(Example(plugin: last, test: block.isTest ? block : nil))
    }
    return examples
  }

  /// On the page of a shipped plugin, tests that no plugin stands before are that plugin's.
  @Test(arguments: examples)
  func `the Lua in a document runs`(_ example: Example) throws {
    let files = shipped().files
    let path = example.plugin?.path ?? example.test?.path ?? ""
    let name = URL(filePath: path).deletingPathExtension().lastPathComponent
    let owner = files.first { $0.name == name }
    let modules = files.flatMap(\.modules).reduce(into: [String: PluginFile.Module]()) { $0[$1.name] = $1 }
    let file = PluginFile(
      name: name, path: path, source: try #require(example.plugin?.placed ?? owner?.source),
      modules: example.plugin == nil ? owner?.modules ?? [] : Array(modules.values))
    guard let test = example.test else {
      _ = try Plugin(file, PluginOptions(folder: ""))
      return
    }
    let text = PluginFile.Text(path: test.path, source: test.placed)
    try Plugin.run(text, of: file, limits: LuaLimits(seed: 1))
  }

  @Test func `there is Lua in the documents`() {
    #expect(Self.examples.count >= 5)
    let paths = Set(Self.examples.compactMap { $0.plugin?.path })
    #expect(paths.isSuperset(of: ["README.md", "docs/lua-api.md"]))
  }
}
