import ArgumentParser
import BrokerConfiguration
import BrokerScripting
import Foundation
import LuaRuntime

/// `yutu config check|default|import`: the configuration file, without a broker.
struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Check a configuration file, or print one with all defaults.",
    subcommands: [CheckConfig.self, DefaultConfig.self, ImportConfig.self])
}

struct ImportConfig: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Print RabbitMQ's configuration file as one of ours.",
    discussion: "Example: yutu config import /etc/rabbitmq/rabbitmq.conf > yutu.toml")

  @Argument(help: "The file, rabbitmq.conf.", completion: .file(extensions: ["conf"]))
  var file: String

  func run() throws {
    guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
      Console.complain("\(file): no such file, or it is no UTF-8")
      throw ExitCode(1)
    }
    let (own, untranslated) = RabbitMQConfiguration.translated(text)
    Console.say(String(own.dropLast()))
    for line in untranslated { Console.complain("\(file): has no equal here: \(line)") }
  }
}

struct DefaultConfig: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "default", abstract: "Print a configuration file with every key and its default.")

  func run() { Console.say(String(ConfigurationFile.standard.dropLast())) }
}

struct CheckConfig: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Say what is wrong with a configuration file, its plugins' settings included.")

  @Argument(help: "The file.", completion: .file(extensions: ["toml"]))
  var file: String

  func run() throws {
    do {
      let configuration = try ConfigurationFile.read(file)
      let problems = Self.problems(with: configuration)
      for problem in problems { Console.complain("\(file): \(problem)") }
      if !problems.isEmpty { throw ExitCode(1) }
      Console.say("\(file): ok")
    } catch let error as ConfigurationError {
      Console.complain(error.description)
      throw ExitCode(1)
    }
  }

  /// Sections for plugins that are not there, and settings that these do not take.
  private static func problems(with configuration: Configuration) -> [String] {
    let named = configuration.pluginNames
    guard !named.isEmpty || configuration.said.contains("scripting.plugins") else { return [] }
    guard PluginDisk.isFolder(configuration.plugins) else {
      return ["scripting.plugins: '\(configuration.plugins)' is no folder"]
    }
    var problems: [String] = []
    var known: [String: PluginFile] = [:]
    for path in PluginDisk.plugins(below: configuration.plugins) {
      if let file = try? PluginDisk.file(at: path) { known[file.name] = file }
    }
    for name in named {
      guard let file = known[name] else {
        let hint =
          Spelling.nearest(to: name, among: known.keys.sorted()).map { "; did you mean '\($0)'?" } ?? ""
        problems.append("plugins.\(name): no plugin of that name is in \(configuration.plugins)\(hint)")
        continue
      }
      do throws(LuaError) {
        try PluginCheck(file, settings: configuration.pluginSettings[name] ?? [:]).accepts()
      } catch { problems.append("plugins.\(name): \(error.message)") }
    }
    return problems
  }
}
