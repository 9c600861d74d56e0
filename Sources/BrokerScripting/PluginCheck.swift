/// What can be said of a plugin without running a broker: whether it compiles and holds to the API, which
/// globals it misses, and what its tests say. Knows no folder.

package import LuaRuntime

package struct PluginCheck {
  package let file: PluginFile
  package let settings: [String: LuaValue]

  /// - Parameter settings: what the operator set
  package init(_ file: PluginFile, settings: [String: LuaValue] = [:]) {
    self.file = file
    self.settings = settings
  }

  private func opened() throws(LuaError) -> (lua: LuaInterpreter, manifest: Manifest) {
    guard let lua = LuaInterpreter(limits: LuaLimits()) else {
      throw LuaError(.memory, "\(file.path): the memory limit does not hold the libraries")
    }
    for module in file.modules { try lua.addModule(module.name, path: module.path, source: module.source) }
    var manifest = try Manifest(try lua.evaluate(file.source, path: file.path))
    try lua.settle(&manifest, try manifest.settings(with: settings, of: file.name))
    return (lua, manifest)
  }

  // MARK: check

  /// - Throws: what keeps the plugin, with these settings, out of force before its tests
  package func accepts() throws(LuaError) { _ = try opened() }

  package struct Findings: Sendable {
    /// Nil if it could not be read.
    package var manifest: Manifest?
    /// Each begins with a path, and a line where there is one.
    package var problems: [String]
  }

  package func findings() -> Findings {
    do throws(LuaError) {
      let manifest = try opened().manifest
      return Findings(manifest: manifest, problems: try globals())
    } catch {
      let isPlaced = error.message.contains(".lua:")
      return Findings(
        manifest: nil, problems: [isPlaced ? error.message : "\(file.path): \(error.message)"])
    }
  }

  /// Names that are no local, and that the interpreter does not know either.
  private func globals() throws(LuaError) -> [String] {
    let known = try Self.knownGlobals()
    var texts = [(file.path, file.source)] + file.modules.map { ($0.path, $0.source) }
    if let tests = file.tests { texts.append((tests.path, tests.source)) }
    var problems: [String] = []
    for (path, source) in texts {
      var told: Set<String> = []
      for use in GlobalsCheck.uses(in: source) where !known.contains(use.name) {
        guard told.insert("\(use.name) \(use.line)").inserted else { continue }
        let hint =
          Spelling.nearest(to: use.name, among: known.sorted()).map { "; did you mean '\($0)'?" } ?? ""
        problems.append(
          use.isAssigned
            ? "\(path):\(use.line): '\(use.name)' would be a global; say local"
            : "\(path):\(use.line): '\(use.name)' is not defined\(hint)")
      }
    }
    return problems
  }

  /// What a script finds before it defines anything.
  package static func knownGlobals() throws(LuaError) -> Set<String> {
    guard let lua = LuaInterpreter(limits: LuaLimits()) else {
      throw LuaError(.memory, "the memory limit does not hold the libraries")
    }
    let listed = try lua.execute(
      "local names = {} for name in pairs(_G) do names[#names + 1] = name end return names", path: "yutu")
    guard case .list(let names) = listed else { return [] }
    return Set(names.compactMap { if case .text(let name) = $0 { name } else { nil } })
  }

  // MARK: test

  package struct TestResult: Sendable, Equatable {
    package let name: String
    /// Nil if it is fine; else file, line and what was expected.
    package let failure: String?
    /// From the failed check outwards; empty where nothing more is known.
    package let traceback: String
  }

  /// The plugin's tests in their order.
  /// - Throws: what the plugin or the file of tests failed with before and between them
  package func test() throws(LuaError) -> [TestResult] {
    guard let tests = file.tests else { return [] }
    let lua = try opened().lua
    try lua.allowTests()
    for (name, source) in testModules {
      try lua.addModule(name, path: "\(name.replacing(".", with: "/")).lua", source: source)
    }
    // What the module itself keeps has no order of all tests, and no traceback: the failed ones are run once
    // more outside of any pcall, and Lua tells.
    _ = try lua.execute(Self.recorder, path: "yutu/recorder.lua")
    _ = try lua.execute(tests.source, path: tests.path)
    guard case .list(let records) = try lua.execute("return require('yutu.test').records", path: "yutu")
    else {
      return []
    }
    var results: [TestResult] = []
    for (index, record) in records.enumerated() {
      guard case .list(let pair) = record, case .text(let name)? = pair.first else { continue }
      guard pair.count > 1, case .text(let failure) = pair[1] else {
        results.append(TestResult(name: name, failure: nil, traceback: ""))
        continue
      }
      results.append(
        TestResult(name: name, failure: failure, traceback: traceback(of: index + 1, failure, in: lua)))
    }
    return results
  }

  /// Empty if the second run fails in another way: then it would mislead.
  private func traceback(of test: Int, _ failure: String, in lua: LuaInterpreter) -> String {
    do throws(LuaError) {
      _ = try lua.execute("require('yutu.test').bodies[\(test)]()", path: "yutu")
      return ""
    } catch {
      guard error.message == failure else { return "" }
      return Self.told(error.traceback).joined(separator: "\n")
    }
  }

  /// A traceback without the frames of Lua's own functions, of `yutu.test` and of what called it: they tell
  /// nothing. Empty without others.
  package static func told(_ traceback: String) -> [Substring] {
    let lines = traceback.split(separator: "\n").filter { line in
      !["[C]:", "yutu:1:", "yutu/test.lua:", "yutu/recorder.lua:"].contains { line.contains($0) }
    }
    return lines.count > 1 ? lines : []
  }

  private static let recorder = """
    local t = require("yutu.test")
    t.records, t.bodies = {}, {}
    local run = t.test
    function t.test(name, body)
      local failure
      run(name, function()
        local fine, reason = pcall(body)
        if not fine then failure = tostring(reason) error(reason, 0) end
      end)
      t.records[#t.records + 1] = { tostring(name), failure }
      t.bodies[#t.records] = body
    end
    """
}
