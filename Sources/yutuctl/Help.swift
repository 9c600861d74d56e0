/// What `--help` says, and what a shell completes. Knows no broker.
enum Help {
  private static let output = Output()

  static func all(_ name: String) {
    output.write("usage: \(name) [options] command [arguments]\n")
    for group in Command.Group.allCases {
      output.write("\(group.rawValue):")
      for command in Command.all where command.group == group {
        let call = command.takes.isEmpty ? command.name : "\(command.name) \(command.takes)"
        output.write("  \(call)\n      \(command.about)")
      }
      output.write("")
    }
    output.write(
      """
      Options, anywhere on the line:
        -p, --vhost VHOST          the virtual host (default: /)
        --data-dir DIR             of the broker that is meant (default: $XDG_DATA_HOME/yutu or ~/.local/share/yutu)
        --url URL                  http://user:password@host:15672, for a broker elsewhere
        -q, --quiet                no line that says what is done
        -s, --silent               nor a table's heads
        --formatter FORMAT         table, json, csv or pretty_table
        -n, --node; -t, --timeout; -l, --longnames   are taken, and change nothing

      '\(name) help COMMAND' shows one of them; '\(name) completion bash' (or zsh, fish) is for a shell.
      """)
  }

  static func of(_ word: String?, _ name: String) throws {
    guard let word else { return all(name) }
    guard let command = Command.named(word) else { throw Failure(.usage, "Command '\(word)' not found.") }
    of(command, name)
  }

  static func of(_ command: Command, _ name: String) {
    output.write(
      """
      usage: \(name) \(command.name) \(command.takes)

      \(command.about)

      Example:
        \(name) \(command.example)
      """)
  }
}

enum Completion {
  static func write(for shell: String, _ name: String) {
    let commands = Command.all.map(\.name).joined(separator: " ")
    switch shell {
    case "fish":
      Output().write("complete -c \(name) -f -n __fish_use_subcommand -a '\(commands)'")
    case "zsh":
      Output().write("#compdef \(name)\n_arguments '1: :(\(commands))' '*: :_files'")
    default:
      Output().write("complete -o default -W '\(commands)' \(name)")
    }
  }
}
