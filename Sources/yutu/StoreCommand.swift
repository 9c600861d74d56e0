import ArgumentParser
import BrokerCore
import BrokerStorage

/// `yutu store check|backup`: a data directory, while no broker uses it.
struct StoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "store", abstract: "Verify or copy a data directory that no broker uses.",
    subcommands: [CheckStore.self, BackupStore.self])
}

private struct DataDirectory: ParsableArguments {
  @Option(
    help: "The data directory. (default: $XDG_DATA_HOME/yutu or ~/.local/share/yutu)", completion: .directory)
  var dataDir: String?

  var path: String { dataDir ?? DataPlace.standard }
}

struct CheckStore: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Read all that is in a data directory, and say what was found.")

  @OptionGroup fileprivate var directory: DataDirectory

  func run() throws {
    #if RocksDB
      try Console.refusing { () throws(StoreError) in
        let report = try StoreCheck.run(directory: directory.path)
        for line in report.lines { Console.say(line) }
        for problem in report.problems { Console.complain("yutu: \(directory.path): \(problem)") }
        guard report.problems.isEmpty else {
          throw StoreError("\(directory.path): \(report.problems.count) problems")
        }
        Console.say("\(directory.path): ok")
      }
    #else
      try Console.refuseStore()
    #endif
  }
}

struct BackupStore: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Copy a data directory into a new one, from which a broker can start.")

  @OptionGroup fileprivate var directory: DataDirectory

  @Argument(help: "The new directory; it must not be there yet.", completion: .directory)
  var target: String

  func run() throws {
    #if RocksDB
      try Console.refusing { () throws(StoreError) in
        try StoreBackup.make(of: directory.path, to: target)
        Console.say("\(directory.path) is copied to \(target)")
      }
    #else
      try Console.refuseStore()
    #endif
  }
}

extension Console {
  /// Ends with exit code 1 and one line.
  fileprivate static func refusing(_ work: () throws(StoreError) -> Void) throws {
    do throws(StoreError) { try work() } catch {
      complain("yutu: \(error)")
      throw ExitCode(1)
    }
  }

  fileprivate static func refuseStore() throws {
    complain("yutu: this program was built without RocksDB, and has no store")
    throw ExitCode(1)
  }
}
