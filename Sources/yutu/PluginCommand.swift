import ArgumentParser
import BrokerScripting
import Foundation
import LuaRuntime

/// `yutu plugin new|check|test`: the tools of those who write plugins. No broker is needed.
struct PluginCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plugin", abstract: "Write, check and test plugins, without a broker.",
    subcommands: [NewPlugin.self, CheckPlugins.self, TestPlugins.self])
}

/// Plugins that a person named: files, their tests, or folders of them.
private struct PluginPaths: ParsableArguments {
  @Argument(help: "Plugins, their tests, or folders.", completion: .file(extensions: ["lua"]))
  var files: [String]

  /// Each plugin once, in the order in which it was named.
  var plugins: [String] {
    var seen: Set<String> = []
    return files.flatMap { path in
      PluginDisk.isFolder(path)
        ? PluginDisk.plugins(below: path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path)
        : [path.hasSuffix("_test.lua") ? "\(path.dropLast("_test.lua".count)).lua" : path]
    }.filter { seen.insert($0).inserted }
  }
}

struct CheckPlugins: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check syntax, the plugin's table, and uses of globals that do not exist; list its settings.")

  @OptionGroup private var paths: PluginPaths

  func run() throws {
    var count = 0
    for path in paths.plugins {
      do throws(PluginDisk.Problem) {
        let findings = PluginCheck(try PluginDisk.file(at: path)).findings()
        for problem in findings.problems { Console.complain(problem) }
        count += findings.problems.count
        if findings.problems.isEmpty, let manifest = findings.manifest { Self.tell(path, manifest) }
      } catch {
        Console.complain(error.description)
        count += 1
      }
    }
    if paths.plugins.isEmpty { Console.complain("no plugins there") }
    if count > 0 || paths.plugins.isEmpty { throw ExitCode(1) }
  }

  private static func tell(_ path: String, _ manifest: Manifest) {
    let hooks = manifest.hooks.isEmpty ? "no hooks" : manifest.hooks.joined(separator: ", ")
    Console.say("\(path): ok (\(hooks)\(manifest.enabled ? "" : "; waits to be enabled"))")
    for (name, setting) in manifest.settings.sorted(by: { $0.key < $1.key }) {
      // Of lists and tables only the kind would be shown, which is said already.
      let standard = setting.standard.map { $0.shown == $0.kind ? "" : ", default \($0.shown)" } ?? ""
      let about = setting.about.isEmpty ? "" : ": \(setting.about)"
      Console.say("  \(name): \(setting.expected)\(standard)\(about)")
    }
  }
}

struct TestPlugins: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "test", abstract: "Run the tests of plugins, without a broker.")

  @OptionGroup private var paths: PluginPaths

  func run() throws {
    var passed = 0
    var failed = 0
    let began = ContinuousClock.now
    for path in paths.plugins {
      let results: [PluginCheck.TestResult]
      do {
        let file = try PluginDisk.file(at: path)
        guard file.tests != nil else {
          Console.say("\(path): no tests (\(path.dropLast(4))_test.lua)")
          continue
        }
        results = try PluginCheck(file).test()
      } catch {
        Self.tell(error, at: path)
        failed += 1
        continue
      }
      Console.say(path)
      for result in results { Self.tell(result) }
      passed += results.filter { $0.failure == nil }.count
      failed += results.filter { $0.failure != nil }.count
    }
    let milliseconds = (ContinuousClock.now - began) / .milliseconds(1)
    Console.say("\(passed) ok, \(failed) failed in \(Int(milliseconds)) ms")
    if failed > 0 || passed == 0 { throw ExitCode(1) }
  }

  private static func tell(_ result: PluginCheck.TestResult) {
    guard let failure = result.failure else { return Console.say("  ok      \(result.name)") }
    Console.say("  FAILED  \(result.name)")
    for line in failure.split(separator: "\n") { Console.say("          \(line)") }
    for line in result.traceback.split(separator: "\n") {
      Console.say("          \(line.replacing("\t", with: "  "))")
    }
  }

  private static func tell(_ error: any Error, at path: String) {
    guard let error = error as? LuaError else { return Console.complain("\(error)") }
    Console.complain(error.message.contains(".lua:") ? error.message : "\(path): \(error.message)")
    for line in PluginCheck.told(error.traceback) {
      Console.complain("  \(line.replacing("\t", with: "  "))")
    }
  }
}
