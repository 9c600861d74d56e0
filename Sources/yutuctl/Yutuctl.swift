import Foundation

/// The operator's command line, with rabbitmqctl's commands. From the words on the line to a command; what commands do
/// is in files of their own.
@main
struct Yutuctl {
  static func main() async {
    let line = CommandLine.arguments
    let name = line.first.map { URL(fileURLWithPath: $0).lastPathComponent } ?? "yutuctl"
    do {
      try await run(name, Array(line.dropFirst()))
    } catch let failure as Failure {
      end(failure.code, failure.text)
    } catch let refused as Broker.Refused {
      end(.unavailable, refused.reason)
    } catch {
      end(.software, "\(error)")
    }
  }

  private static func end(_ code: Failure.Code, _ text: String) -> Never {
    // As rabbitmqctl, which ends so without the word.
    let isBare = code == .badData && text.hasPrefix("Virtual host ")
    FileHandle.standardError.write(Data("\(isBare ? "" : "Error:\n")\(text)\n".utf8))
    exit(code.rawValue)
  }

  private static func run(_ name: String, _ line: [String]) async throws {
    var parsed = try Line(line)
    guard !parsed.words.isEmpty, !parsed.wantsHelp || Command.named(parsed.words[0]) != nil else {
      return Help.all(name)
    }
    let verb = parsed.words.removeFirst()
    if verb == "help" { return try Help.of(parsed.words.first, name) }
    if verb == "completion" { return Completion.write(for: parsed.words.first ?? "bash", name) }
    guard let command = Command.named(verb) else {
      let near = Command.all.map(\.name).filter { $0.contains(verb) || verb.contains($0) }
      throw Failure(
        .usage,
        "Command '\(verb)' not found."
          + (near.isEmpty ? "" : " Did you mean \(near.joined(separator: ", "))?"))
    }
    if parsed.wantsHelp { return Help.of(command, name) }
    guard command.words.contains(parsed.words.count) else {
      throw Failure(
        .usage,
        "\(verb) takes \(command.takes.isEmpty ? "no arguments" : command.takes), not '"
          + "\(parsed.words.joined(separator: " "))'. Example:\n  \(name) \(command.example)")
    }
    let broker = try Broker(url: parsed.options.url, dataDirectory: parsed.options.dataDirectory)
    try await command.run(
      Call(broker: broker, output: parsed.output, words: parsed.words, options: parsed.options))
  }
}

/// The words on the line, and the options between them: rabbitmqctl takes them anywhere.
struct Line {
  var words: [String] = []
  var options = Options()
  var output = Output()
  var wantsHelp = false

  init(_ line: [String]) throws {
    var rest = line[...]
    var onlyWords = false
    func value(of option: String) throws -> String {
      guard let value = rest.popFirst() else { throw Failure(.usage, "\(option): missing value") }
      return value
    }
    while let word = rest.popFirst() {
      guard word.hasPrefix("-"), word.count > 1, !onlyWords else {
        words.append(word)
        continue
      }
      var option = word
      if word.hasPrefix("--"), let equals = word.firstIndex(of: "=") {
        option = String(word[..<equals])
        rest = [String(word[word.index(after: equals)...])] + rest
      }
      switch option {
      case "--": onlyWords = true
      case "-p", "--vhost": options.vhost = try value(of: option)
      case "--data-dir": options.dataDirectory = try value(of: option)
      case "--url": options.url = try value(of: option)
      case "-q", "--quiet": output.isQuiet = true
      case "-s", "--silent": output.isSilent = true
      case "--no-table-headers": output.isSilent = true
      case "--formatter":
        let name = try value(of: option)
        guard let format = Output.Format(rawValue: name) else {
          let known = Output.Format.allCases.map(\.rawValue).joined(separator: ", ")
          throw Failure(.usage, "--formatter \(name): expected one of \(known)")
        }
        output.format = format
      case "--priority":
        let text = try value(of: option)
        guard let number = Int64(text) else { throw Failure(.usage, "--priority \(text): expected a number") }
        options.priority = number
      case "--apply-to": options.target = try value(of: option)
      case "--description": options.description = try value(of: option)
      case "--tags": options.tags = try value(of: option)
      case "--default-queue-type": options.defaultQueueType = try value(of: option)
      case "--user": options.user = try value(of: option)
      case "--global": options.isGlobal = true
      case "--if-empty", "-e": options.ifEmpty = true
      case "--if-unused", "-u": options.ifUnused = true
      case "--limit":
        let text = try value(of: option)
        guard let number = Int(text) else { throw Failure(.usage, "--limit \(text): expected a number") }
        options.limit = number
      // One node, which answers when it can: these change nothing here.
      case "-n", "--node", "-t", "--timeout", "--per-connection-delay", "--script-name", "--format":
        _ = try value(of: option)
      case "-l", "--longnames", "--dry-run", "--online", "--offline", "--local": break
      case "--help", "-h": wantsHelp = true
      case "--version":
        words = ["version"]
        return
      default: throw Failure(.usage, "\(option): unknown option")
      }
    }
  }
}
