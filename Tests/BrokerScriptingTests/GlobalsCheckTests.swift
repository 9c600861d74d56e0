/// Free names in Lua texts: every form of statement, every way to write a word.

import Foundation
import LuaRuntime
import Testing

@testable import BrokerScripting

@Suite struct `Globals in a Lua text` {
  /// "name line", with a mark where it is assigned. The text has to compile.
  private func globals(_ source: String) throws -> [String] {
    let lua = try #require(LuaInterpreter())
    try lua.addModule("m", path: "m.lua", source: "local function unused(...) \(source)\nend")
    if !source.contains("return") { _ = try lua.execute("require('m')", path: "x.lua") }
    return GlobalsCheck.uses(in: source).map { "\($0.name) \($0.line)\($0.isAssigned ? " =" : "")" }
  }

  @Test(arguments: [
    ("a()", ["a 1"]), ("a.b.c()", ["a 1"]), ("a:b(c)", ["a 1", "c 1"]), ("a'x'", ["a 1"]),
    ("a{b}", ["a 1", "b 1"]),
    ("a[[x]]", ["a 1"]), ("a(b)(c).d:e(f)", ["a 1", "b 1", "c 1", "f 1"]),
    ("(a or b)(c)", ["a 1", "b 1", "c 1"]),
    ("a[b].c = d", ["a 1", "b 1", "d 1"]), ("a = 1", ["a 1 ="]),
    ("a, b.c, d = e, f", ["a 1 =", "b 1", "d 1 =", "e 1", "f 1"]),
    ("a.b = a", ["a 1", "a 1"]), ("local a a = 1", []), ("local a = a", ["a 1"]),
    ("local a, b = 1, a", ["a 1"]),
    ("local a <const>, b <close> = 1, nil b.x(c)", ["c 1"]), ("do local a end b = a", ["b 1 =", "a 1"]),
    ("while a do local a; a() end a()", ["a 1", "a 1"]), ("repeat local a until a", []),
    ("repeat until a", ["a 1"]),
    ("if a then local b elseif b then local c else c() end", ["a 1", "b 1", "c 1"]),
    ("for i = a, b, c do i(d) end i()", ["a 1", "b 1", "c 1", "d 1", "i 1"]),
    ("for k, v in pairs(t) do k(v) end v()", ["pairs 1", "t 1", "v 1"]), ("for a in a do end", ["a 1"]),
    ("function a() end", ["a 1 ="]), ("function a.b.c() end", ["a 1"]),
    ("function a:b(c) self(c, d) end", ["a 1", "d 1"]),
    ("function a.b(c) self() end", ["a 1", "self 1"]), ("local function a() a() b() end", ["b 1"]),
    ("local a = function() a() end", ["a 1"]), ("local f = function(a, ...) return a, ..., b end", ["b 1"]),
    ("goto x ::x:: y()", ["y 1"]), ("while true do break end z()", ["z 1"]), ("; ; a()", ["a 1"]),
    ("local t = { a = b, [c] = d; e, f = { g } }", ["b 1", "c 1", "d 1", "e 1", "g 1"]), ("local t = {}", []),
    ("local t = { a, }", ["a 1"]), ("local t = { function() return a end, b = 1 }", ["a 1"]),
    ("local x = -a + #b * ~c .. not d ^ e // f % g", ["a 1", "b 1", "c 1", "d 1", "e 1", "f 1", "g 1"]),
    ("local x = a and b or c", ["a 1", "b 1", "c 1"]),
    ("local x = a < b, a >= c, a ~= d, a == e", ["a 1", "b 1", "a 1", "c 1", "a 1", "d 1", "a 1", "e 1"]),
    ("local x = a << b >> c & d | e ~ f", ["a 1", "b 1", "c 1", "d 1", "e 1", "f 1"]),
    ("local x = a.and_then", ["a 1"]), ("return a", ["a 1"]), ("return", []),
    ("if a then return end b()", ["a 1", "b 1"]),
    ("do return a, b; end", ["a 1", "b 1"]), ("local _ENV = {} a()", []), ("a(_ENV)", ["a 1"]),
    ("local function f(_ENV) return a end b()", ["b 1"]), ("local a do local a a() end a()", []),
    ("local s = ('x'):rep(a)", ["a 1"]), ("a.b['c'].d:e{}.f()", ["a 1"]),
  ]) func `are seen in every statement`(source: String, expected: [String]) throws {
    #expect(try globals(source) == expected)
  }

  @Test(arguments: [
    ("-- a()\nb()", ["b 2"]), ("--[[ a()\n]] b()", ["b 2"]), ("--[==[ ]] a()\n]=] ]==] b()", ["b 2"]),
    ("--[ a()\nb()", ["b 2"]),
    ("--[=a()\nb()", ["b 2"]), ("local s = 'a\\'b' c()", ["c 1"]), ("local s = \"a\\\nb\" c()", ["c 2"]),
    ("local s = 'a\\z\n\n b' c()", ["c 3"]), ("local s = [[\n]] c()", ["c 2"]),
    ("local s = [=[ ]] [[ a\n]=] c()", ["c 2"]),
    ("local s = 'a\\\\' c()", ["c 1"]), ("local s = '\\x41\\u{48}\\065' c()", ["c 1"]),
    ("local n = 0xA.Bp-3 + 1e+5 + .5 + 3. + 0x.1P2 + 1//2 + 0xep1 a()", ["a 1"]),
    ("local n = 1 ..a", ["a 1"]),
    ("local n = 1e5-a", ["a 1"]), ("local n = 0xe+a", ["a 1"]),
    ("a()\r\nb()\rc()\n\rd()", ["a 1", "b 2", "c 3", "d 4"]),
    ("local a<const> = 1 b()", ["b 1"]), ("local x = a--b\n+c", ["a 1", "c 2"]),
    ("local t = {[ [[x]] ] = a}", ["a 1"]),
    ("local x = a [ [[b]] ]", ["a 1"]), ("a\n(b)", ["a 1", "b 2"]), ("a.\nb\n.c()", ["a 1"]),
  ]) func `are told apart from strings, comments and numbers`(source: String, expected: [String]) throws {
    #expect(try globals(source) == expected)
  }

  @Test func `are not sought in a first line for the shell`() {
    #expect(GlobalsCheck.uses(in: "#!a b\nc()") == [GlobalUse(name: "c", line: 2, isAssigned: false)])
  }

  @Test func `end where the text does not compile`() {
    for source in [
      "", "end", "a(", "local", "for", "function", "if", "x = = 1", "'a", "[[a", "{", ")", "a.", "goto", "::",
      "local function",
      "local a <", "?", "return return", "a b c", "\u{1}", "é()", "for in do", "function a.b:", "until", "a[",
    ] { _ = GlobalsCheck.uses(in: source) }
  }

  @Test func `of very deep texts end the walk, not the program`() {
    for text in ["(", "{", "function a() ", "do ", "a(", "if x then ", "- ", "a.b[", "not "] {
      _ = GlobalsCheck.uses(in: String(repeating: text, count: 20_000))
    }
  }

  @Test func `of any words end`() {
    let words = [
      "a", "b", "local", "function", "end", "do", "if", "then", "else", "elseif", "for", "in", "=", ",", "(",
      ")", "{", "}",
      "[", "]", "::", "goto", "return", "repeat", "until", "while", ".", ":", "..", "...", "'s'", "1", "<",
      ">", ";", "\n",
      "not", "and", "_ENV", "--", "--[[", "]]", "[[",
    ]
    for _ in 0..<3000 {
      let text = (0..<Int.random(in: 0..<40)).map { _ in words.randomElement() ?? "" }.joined(separator: " ")
      _ = GlobalsCheck.uses(in: text)
    }
  }

  /// What ships uses nothing that the interpreter does not have.
  @Test(arguments: ["plugins", "examples/plugins"]) func `are all known in what ships`(folder: String) throws
  {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let plugins = PluginDisk.plugins(below: root.appending(path: folder).path)
    #expect(!plugins.isEmpty)
    for path in plugins {
      #expect(PluginCheck(try PluginDisk.file(at: path)).findings().problems == [], "\(path)")
    }
  }
}
