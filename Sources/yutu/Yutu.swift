import ArgumentParser
import BrokerServer

/// The program `yutu`: its commands. What they do is in files of their own.
@main
struct Yutu: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "yutu",
    abstract: "An AMQP 0-9-1 broker that is programmed in Lua.",
    version: Version.current,
    subcommands: [Serve.self, PluginCommand.self, ConfigCommand.self, StoreCommand.self],
    defaultSubcommand: Serve.self)
}
