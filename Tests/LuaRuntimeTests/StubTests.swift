/// plugins/_meta/yutu.lua, docs/lua-api.md and the interpreter name the same things.

import Foundation
import LuaRuntime
import Testing

private let top = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")

private func read(_ path: String) throws -> String {
  try String(contentsOf: top.appending(path: path), encoding: .utf8)
}

/// Globals, `library.function`, and of classes `local.function` or `local:function`.
private struct Stubs {
  var globals: Set<String> = []
  var members: Set<String> = []

  init() throws {
    var locals: Set<Substring> = []
    for line in try read("plugins/_meta/yutu.lua").split(separator: "\n") {
      if let name = line.firstMatch(of: #/^local (\w+) = /#)?.1 {
        locals.insert(name)
      } else if let name = line.firstMatch(of: #/^(\w+) = /#)?.1 {
        globals.insert(String(name))
      } else if let name = line.firstMatch(of: #/^function (\w+)\(/#)?.1 {
        globals.insert(String(name))
      } else if let found = line.firstMatch(of: #/^function (\w+)([.:])(\w+)\(/#) {
        if locals.contains(found.1) {
          members.insert("\(found.1)\(found.2)\(found.3)")
        } else {
          globals.insert("\(found.1).\(found.3)")
        }
      }
    }
  }
}

/// The first and second cells of the tables between two headings.
private func rows(from heading: String, to end: String) throws -> [(Substring, Substring)] {
  let text = try read("docs/lua-api.md")
  let start = try #require(text.range(of: heading)).upperBound
  let stop = try #require(text.range(of: end, range: start..<text.endIndex)).lowerBound
  return text[start..<stop].split(separator: "\n").compactMap { line in
    let cells = line.split(separator: "|", maxSplits: 1).map { $0.drop { $0 == " " } }
    return line.hasPrefix("| `") && cells.count == 2 ? (cells[0], cells[1]) : nil
  }
}

@Suite struct `The stubs` {
  /// Lua's own, which the editor knows.
  static let ofLua = Set(
    ("_G _VERSION assert coroutine error getmetatable ipairs load math next os pairs pcall print rawequal rawget "
      + "rawlen rawset require select setmetatable string table tonumber tostring type utf8 xpcall")
      .split(separator: " ").map(String.init))

  @Test func `name what a script finds, and nothing else`() throws {
    let found = try interpreter().execute(
      """
      local names = {}
      for name, value in pairs(_G) do
        names[#names + 1] = name
        if type(value) == "table" and name ~= "_G" then
          for field in pairs(value) do names[#names + 1] = name .. "." .. field end
        end
      end
      return names
      """, path: "globals.lua")
    guard case .list(let names) = found else {
      Issue.record("no names")
      return
    }
    let texts = names.compactMap { (value: LuaValue) -> String? in
      if case .text(let name) = value { name } else { nil }
    }
    let present = Set(texts)
      .filter { !Self.ofLua.contains(String($0.prefix { $0 != "." })) }
    let stubs = try Stubs().globals
    #expect(present.subtracting(stubs) == [])
    #expect(stubs.subtracting(present) == [])
  }

  @Test func `name the methods of a shared dictionary`() throws {
    let stubs = try Stubs()
    for member in stubs.members where member.hasPrefix("dictionary:") {
      let name = member.dropFirst("dictionary:".count)
      #expect(
        try interpreter().execute("return type(shared('d').\(name))", path: "a.lua") == .text("function"))
    }
    #expect(stubs.members.contains("dictionary:take"))
  }

  @Test func `name what the reference names`() throws {
    let stubs = try Stubs()
    let rows = try rows(from: "## What scripts can use", to: "## Limits")
    #expect(rows.count >= 18)
    for (name, text) in rows {
      let path = String(try #require(name.firstMatch(of: #/^`([\w.]+)/#)).1)
      #expect(stubs.globals.contains(path), "\(path)")
      for method in text.matches(of: #/`:(\w+)\(/#) {
        #expect(stubs.members.contains("dictionary:\(method.1)"), "\(method.1)")
      }
      guard stubs.globals.contains(where: { $0.hasPrefix(path + ".") }) else { continue }
      for function in text.matches(of: #/`(\w+)\(/#) {
        #expect(stubs.globals.contains("\(path).\(function.1)"), "\(path).\(function.1)")
      }
    }
  }

  @Test func `name the reference's functions for tests, and nothing else`() throws {
    let rows = try rows(from: "## Tests", to: "t.reload()`")
    let documented = Set(rows.flatMap { $0.0.matches(of: #/`t\.(\w+)/#).map { "t.\($0.1)" } } + ["t.reload"])
    #expect(documented.count >= 20)
    #expect(try Stubs().members.filter { $0.hasPrefix("t.") } == documented)
  }

  @Test func `name every field of a plugin's table that the reference has`() throws {
    let text = try read("plugins/_meta/yutu.lua")
    let start = try #require(text.range(of: "---@class yutu.Plugin\n")).upperBound
    let fields = text[start...].split(separator: "\n", omittingEmptySubsequences: false)
      .prefix { $0.hasPrefix("---@field") }
      .compactMap { $0.firstMatch(of: #/^---@field (\w+)/#).map { String($0.1) } }
    let documented = try rows(from: "## The table", to: "Any other field").flatMap { row in
      row.0.matches(of: #/`(\w+)/#).map { String($0.1) }
    }
    #expect(Set(fields) == Set(documented))
  }

  @Test func `name the editor's globals`() throws {
    let settings = try JSONSerialization.jsonObject(with: Data(read(".luarc.json").utf8)) as? [String: Any]
    let globals = settings?["diagnostics.globals"] as? [String]
    #expect(globals == (try Stubs().globals.filter { !$0.contains(".") }.sorted()))
  }
}
