import ArgumentParser
import BrokerCore
import BrokerServer
import Dispatch
import Foundation
import Logging

/// `yutu serve`: wires the broker together, says what it does, and waits for a signal.
struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Run the broker in the foreground.")

  @Option(help: "The address to listen on.")
  var host = "127.0.0.1"

  @Option(help: "The AMQP port; 0 lets the system choose.")
  var port = 5672

  @Option(help: "The folder with the Lua plugins.")
  var plugins = "plugins"

  @Option(help: "trace, debug, info, notice, warning, error or critical.")
  var logLevel = "info"

  func run() async throws {
    signal(SIGPIPE, SIG_IGN)
    guard let level = Logger.Level(rawValue: logLevel) else {
      throw ValidationError("--log-level \(logLevel): expected one of \(Logger.Level.allCases.map(\.rawValue))")
    }
    let server: Server
    do {
      server = try await Server.start(host: host, port: port) {
        var logger = Logger(label: "yutu", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = level
        return Broker(logger: logger)
      }
    } catch {
      Console.complain("yutu: cannot listen on \(host):\(port): \(error)")
      throw ExitCode(1)
    }
    Console.say("listening amqp \(host):\(server.port)")
    await Signals.firstOf([SIGINT, SIGTERM])
    try await server.stop()
  }
}

/// Lines for a person: written at once, so that who starts the broker by a pipe sees them.
enum Console {
  static func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
  static func complain(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
}

/// Signals that ask for a stop in order.
enum Signals {
  static func firstOf(_ numbers: [Int32]) async {
    let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
    let sources = numbers.map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number)
      source.setEventHandler { continuation.yield(number) }
      source.resume()
      return source
    }
    for await _ in stream { break }
    for source in sources { source.cancel() }
  }
}
