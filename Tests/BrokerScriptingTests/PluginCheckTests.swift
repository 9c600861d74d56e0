/// The tools for those who write plugins: check, test, and what `new` writes.

import Foundation
import LuaRuntime
import Testing

@testable import BrokerScripting

@Suite struct `A plugin without a broker` {
  private func check(_ source: String, tests: String? = nil, modules: [PluginFile.Module] = []) -> PluginCheck
  {
    PluginCheck(
      PluginFile(
        name: "x", path: "p/x.lua", source: source,
        tests: tests.map { PluginFile.Text(path: "p/x_test.lua", source: $0) }, modules: modules))
  }

  // MARK: check

  @Test(arguments: [
    ("return { api = 1 }", []), ("return {", ["p/x.lua:1: unexpected symbol near <eof>"]),
    ("\nerror('oh')", ["p/x.lua:2: oh"]), ("return 1", ["p/x.lua: a plugin returns a table"]),
    ("return { api = 1, filter = {} }", ["p/x.lua: unknown field 'filter': did you mean 'filters'?"]),
    (
      "local function f()\n  return dney('no')\nend\nreturn { api = 1, declare = f }",
      ["p/x.lua:2: 'dney' is not defined; did you mean 'deny'?"]
    ),
    (
      "local function f()\n  count = 1\n  return io.open('x')\nend\nreturn { api = 1, declare = f }",
      ["p/x.lua:2: 'count' would be a global; say local", "p/x.lua:3: 'io' is not defined"]
    ),
    (
      "local function f() return zap1, zap1, zap2 end return { api = 1, declare = f }",
      ["p/x.lua:1: 'zap1' is not defined", "p/x.lua:1: 'zap2' is not defined"]
    ),
  ]) func `is checked`(source: String, problems: [String]) {
    #expect(
      check(source).findings().problems.map { $0.replacing("; did you mean 'os'?", with: "") } == problems)
  }

  @Test func `is checked with its modules and tests`() {
    let module = PluginFile.Module(
      name: "m", path: "_lib/m.lua", source: "local m = {}\nfunction m.f() return qqqqqq end\nreturn m")
    let found = check(
      "local m = require('m')\nreturn { api = 1, declare = m.f }",
      tests: "local t = require('yutu.test')\nwwwwww()",
      modules: [module]
    ).findings()
    #expect(
      found.problems == ["_lib/m.lua:2: 'qqqqqq' is not defined", "p/x_test.lua:2: 'wwwwww' is not defined"])
    #expect(found.manifest?.declares == true)
  }

  @Test func `knows the names that scripts have`() throws {
    let known = try PluginCheck.knownGlobals()
    for name in ["deny", "settings", "string", "pcall", "require", "json", "log", "null"] {
      #expect(known.contains(name), "\(name)")
    }
    for name in ["io", "debug", "dofile", "collectgarbage"] { #expect(!known.contains(name), "\(name)") }
  }

  // MARK: test

  @Test func `is tested, each test by name and line`() throws {
    let results = try check(
      "return { api = 1 }",
      tests: """
        local t = require("yutu.test")
        local function inner() t.equal(1, 2) end
        t.test("one is one", function() t.equal(1, 1) end)
        t.test("one is two", function()
          inner()
        end)
        t.test("a bug", function() local x = nil; return x.y end)
        t.test("the last", function() t.ok(true) end)
        """
    ).test()
    #expect(results.map(\.name) == ["one is one", "one is two", "a bug", "the last"])
    #expect(
      results.map(\.failure) == [
        nil, "p/x_test.lua:2: expected 2, got 1", "p/x_test.lua:7: attempt to index a nil value (local 'x')",
        nil,
      ])
    #expect(results[0].traceback.isEmpty)
    #expect(results[1].traceback.contains("p/x_test.lua:2:"))
    #expect(results[1].traceback.contains("p/x_test.lua:5:"))
    #expect(!results[1].traceback.contains("[C]"))
  }

  @Test func `says why its tests could not be run`() throws {
    #expect(throws: LuaError.self) { try check("return {", tests: "").test() }
    #expect(throws: LuaError.self) { try check("return { api = 1 }", tests: "local t = = 1").test() }
    let endless = check(
      "return { api = 1 }", tests: "require('yutu.test').test('x', function() while true do end end)")
    #expect(throws: LuaError.self) { try endless.test() }
    #expect(try check("return { api = 1 }").test().isEmpty)
  }

  // MARK: new

  @Test(arguments: PluginTemplate.Kind.allCases) func `that is new is fine, and so are its tests`(
    kind: PluginTemplate.Kind
  ) throws {
    let template = PluginTemplate(kind, name: "my-name")
    let check = check(template.plugin, tests: template.tests)
    let findings = check.findings()
    #expect(findings.problems == [])
    #expect(findings.manifest?.hooks.isEmpty == false)
    let results = try check.test()
    #expect(results.count > 1)
    #expect(results.compactMap(\.failure) == [])
    #expect(template.plugin.split(separator: "\n").count <= 120)
    #expect(!(template.plugin + template.tests).contains("NAME"))
    // Exchange types and matchers do nothing until a client names them; others wait.
    #expect(findings.manifest?.enabled == (kind == .exchange || kind == .matcher))
  }

  @Test func `has a name that can be loaded`() {
    #expect(PluginTemplate.problem(withName: "x-my_Type2") == nil)
    for name in ["", "_x", "x_test", "a/b", "..", "a.b", "é", String(repeating: "a", count: 101)] {
      #expect(PluginTemplate.problem(withName: name) != nil, "\(name)")
    }
  }

  // MARK: disk

  @Test func `is found with its tests and modules, by the path that was typed`() throws {
    let root = FileManager.default.temporaryDirectory.appending(path: "yutu-\(UUID().uuidString)").path
    defer { try? FileManager.default.removeItem(atPath: root) }
    func write(_ path: String, _ text: String) throws {
      let file = URL(filePath: "\(root)/\(path)")
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    try write("_lib/deep/m.lua", "return 1")
    try write("_meta/yutu.lua", "")
    try write("filters/a.lua", "local m = require('deep.m') return { api = 1 }")
    try write("filters/a_test.lua", "local n = require('absent')")
    try write("filters/big/init.lua", "require('own') return { api = 1 }")
    try write("filters/big/own.lua", "return 2")
    try write("filters/big/init_test.lua", "")
    try write("filters/.hidden.lua", "")
    #expect(PluginDisk.plugins(below: root) == ["\(root)/filters/a.lua", "\(root)/filters/big/init.lua"])
    for path in ["\(root)/filters/a.lua", "\(root)/filters/a_test.lua"] {
      let file = try PluginDisk.file(at: path)
      #expect(file.name == "a" && file.path == "\(root)/filters/a.lua")
      #expect(file.tests?.path == "\(root)/filters/a_test.lua")
      #expect(file.modules.map(\.path) == ["\(root)/_lib/deep/m.lua"])
    }
    let big = try PluginDisk.file(at: "\(root)/filters/big/init.lua")
    #expect(
      big.name == "big" && big.tests != nil && big.modules.map(\.path) == ["\(root)/filters/big/own.lua"])
    #expect(throws: PluginDisk.Problem(description: "\(root)/b.lua: no such file")) {
      try PluginDisk.file(at: "\(root)/b_test.lua")
    }
    #expect(throws: PluginDisk.Problem.self) { try PluginDisk.file(at: "\(root)/filters") }
    #expect(throws: PluginDisk.Problem.self) { try PluginDisk.file(at: "\(root)/x.txt") }
  }
}
