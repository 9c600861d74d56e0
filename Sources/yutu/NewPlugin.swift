import ArgumentParser
import BrokerScripting
import Foundation

/// `yutu plugin new`: a plugin that works, to be changed, and its tests.
struct NewPlugin: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "new", abstract: "Write a plugin and its tests, to begin with. Overwrites nothing.")

  @Argument(help: "The plugin's name; an exchange type is called so.")
  var name: String

  @Option(help: "exchange, auth, filter, matcher or policy.")
  var kind: Kind

  @Option(help: "The folder of plugins.", completion: .directory)
  var folder = "plugins"

  struct Kind: ExpressibleByArgument {
    let kind: PluginTemplate.Kind
    init?(argument: String) {
      guard let kind = PluginTemplate.Kind(rawValue: argument) else { return nil }
      self.kind = kind
    }
    static var allValueStrings: [String] { PluginTemplate.Kind.allCases.map(\.rawValue) }
  }

  func validate() throws {
    if let problem = PluginTemplate.problem(withName: name) { throw ValidationError("'\(name)': \(problem)") }
  }

  func run() throws {
    let template = PluginTemplate(kind.kind, name: name)
    let parent = folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
    let place = "\(parent)/\(template.folder)"
    let files = [("\(place)/\(name).lua", template.plugin), ("\(place)/\(name)_test.lua", template.tests)]
    do {
      try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
      for (path, _) in files where FileManager.default.fileExists(atPath: path) {
        Console.complain("\(path) exists; nothing was written")
        throw ExitCode(1)
      }
      for (path, text) in files {
        // Fails if somebody else was faster.
        try Data(text.utf8).write(to: URL(filePath: path), options: .withoutOverwriting)
        Console.say("wrote \(path)")
      }
    } catch let code as ExitCode {
      throw code
    } catch {
      Console.complain("\(place): cannot be written: \(error.localizedDescription)")
      throw ExitCode(1)
    }
    Console.say("try it: yutu plugin test \(files[0].0)")
  }
}
