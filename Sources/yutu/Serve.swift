import AMQPWire
import ArgumentParser
import BrokerConfiguration
import BrokerCore
import BrokerManagement
import BrokerScripting
import BrokerServer
import Dispatch
import Foundation
import Logging
import LuaRuntime
import NIOCore

/// `yutu serve`: wires the broker together, says what it does, and waits for a signal.
struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Run the broker in the foreground.")

  @Option(help: "The configuration file; the other options win over it.", completion: .file())
  var config: String?

  @Option(help: "The address to listen on. (default: 127.0.0.1)")
  var host: String?

  @Option(help: "The AMQP port; 0 lets the system choose. (default: 5672)")
  var port: Int?

  @Option(help: "The port of the HTTP API and the metrics; 0 lets the system choose. (default: 15672)")
  var httpPort: Int?

  @Flag(help: "Serve no HTTP at all.")
  var noHttp = false

  @Option(
    help: "Where data is kept; :memory: keeps nothing. (default: $XDG_DATA_HOME/yutu or ~/.local/share/yutu)")
  var dataDir: String?

  @Option(help: "The folder with the Lua plugins. (default: plugins)")
  var plugins: String?

  @Option(help: "The most octets of a message's body.")
  var maxMessageSize: Int?

  @Option(help: "How much to log: trace, debug, info, notice, warning, error or critical. (default: info)")
  var logLevel: String?

  /// The file's values, or the defaults, under the options.
  private func configured() throws(ConfigurationError) -> Configuration {
    var configuration =
      try config.map { path throws(ConfigurationError) in try ConfigurationFile.read(path) }
      ?? Configuration()
    try configuration.apply(ProcessInfo.processInfo.environment)
    let options: [(option: String, key: String, value: LuaValue?)] = [
      ("--host", "listen.host", host.map { .text($0) }),
      ("--port", "listen.port", port.map { .integer(Int64($0)) }),
      ("--http-port", "listen.http_port", httpPort.map { .integer(Int64($0)) }),
      ("--data-dir", "data.dir", dataDir.map { .text($0) }),
      ("--plugins", "scripting.plugins", plugins.map { .text($0) }),
      ("--max-message-size", "limits.max_message_size", maxMessageSize.map { .integer(Int64($0)) }),
      ("--log-level", "log.level", logLevel.map { .text($0) }),
    ]
    for (option, key, value) in options { try configuration.set(key, to: value, as: option) }
    // A port that was asked for is meant.
    if httpPort != nil { configuration.http = true }
    if noHttp { configuration.http = false }
    return configuration
  }

  func run() async throws {
    let configuration: Configuration
    do { configuration = try configured() } catch {
      Console.complain("yutu: \(error.problems.joined(separator: "\nyutu: "))")
      throw ExitCode(1)
    }
    let (host, port) = (configuration.host, configuration.port)
    signal(SIGPIPE, SIG_IGN)
    let signals = Signals([SIGINT, SIGTERM, SIGHUP])
    let level = Logger.Level(rawValue: configuration.logLevel) ?? .info
    let events = signals.continuation
    let lines = configuration.settings.logsToExchange ? LogLines() : nil
    let server: Server
    do {
      server = try await Server { loop in
        var logger = Logger(label: "yutu", factory: { PlainLog(label: $0, copies: lines) })
        logger.logLevel = level
        return try DataPlace(configuration).makeBroker(configuration, logger, loop) {
          events.yield(.failure($0))
        }
      }
    } catch let error as StoreError {
      Console.complain("yutu: \(error)")
      throw ExitCode(1)
    }
    if let lines { try await server.publish(lines) }
    let room = try await load(configuration, into: server)
    let loaded = try await room.statuses()
    try await loadDefinitions(configuration, into: server)
    let management = management(room, beside: server, configuration, level, events)
    do {
      let address = try await server.listen(host: host, port: port)
      let http = try await start(management, configuration)
      await startLocal(management, DataPlace(configuration))
      // Its password is the one that everybody knows.
      let hasGuest = try await server.withBroker { broker in
        broker.users["guest"]?.password?.matches("guest") ?? false
      }
      announce(
        configuration, port: address?.port ?? port, http: http, plugins: loaded, hasGuest: hasGuest)
    } catch let error as ExitCode {
      throw error
    } catch {
      let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
      Console.complain("yutu: cannot listen on \(host):\(port): \(reason)")
      throw ExitCode(1)
    }
    var failure: String?
    events: for await event in signals.stream {
      switch event {
      case .signal(SIGHUP): _ = try? await room.reload()
      case .signal: break events
      case .failure(let reason):
        failure = reason
        break events
      }
    }
    await management.stop()
    await room.stop()
    try await server.stop()
    guard let failure else { return }
    Console.complain("yutu: the store failed, so the broker has ended: \(failure)")
    throw ExitCode(1)
  }

  /// Puts the plugins into force before the first client comes, and watches their folder from then on.
  private func load(_ configuration: Configuration, into server: Server) async throws -> PluginRoom {
    let options = configuration.pluginOptions
    if !PluginDisk.isFolder(options.folder) {
      Console.complain("yutu: --plugins \(options.folder): no such folder; running without plugins")
    }
    let loop = server.eventLoop
    let host = try await server.beside { broker, flush in
      PluginHost(broker, options, seat: LoopSeat(loop: loop, flush: flush))
    }
    let room = PluginRoom(host, loop, options)
    try await room.start()
    Task { await room.watch() }
    return room
  }

  /// Before the first client comes, at each start: what is there stays as it is.
  private func loadDefinitions(_ configuration: Configuration, into server: Server) async throws {
    guard let path = configuration.definitions else { return }
    do {
      guard let octets = FileManager.default.contents(atPath: path) else {
        throw DefinitionsError("no such file, or it cannot be read")
      }
      try await Management.load(definitions: Array(octets), into: server)
    } catch {
      Console.complain("yutu: data.definitions \(path): \(error)")
      throw ExitCode(1)
    }
  }

  private func management(
    _ room: PluginRoom, beside server: Server, _ configuration: Configuration, _ level: Logger.Level,
    _ events: AsyncStream<Signals.Event>.Continuation
  ) -> Management {
    var logger = Logger(label: "http", factory: { PlainLog(label: $0) })
    logger.logLevel = level
    let node = Management.Node(server: server, environment: configuration.inForce) {
      events.yield(.signal(SIGTERM))
    }
    return Management(control: room, node: node, version: Version.current, logger: logger) {
      user, password, isLoopback in
      let peer = PeerAddress(address: isLoopback ? "127.0.0.1" : "", port: 0, isLoopback: isLoopback)
      guard let identity = try? await server.logIn(user: user, password: password, from: peer) else {
        return nil
      }
      return Management.Login(identity, from: peer)
    }
  }

  /// - Returns: where it listens, or nil if it does not
  private func start(_ management: Management, _ configuration: Configuration) async throws -> String? {
    guard configuration.http else { return nil }
    let (host, port) = (configuration.httpHost ?? configuration.host, configuration.httpPort)
    do {
      return "\(host):\(try await management.start(host: host, port: port))"
    } catch {
      let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
      Console.complain("yutu: cannot listen for HTTP on \(host):\(port): \(reason)")
      // Who did not ask for it gets a broker all the same: the next one on this machine, say.
      guard configuration.said.contains("listen.http_port") else { return nil }
      throw ExitCode(1)
    }
  }

  /// For `yutuctl`, which finds it in the data directory.
  private func startLocal(_ management: Management, _ place: DataPlace) async {
    guard let path = place.socket else { return }
    do { try await management.startLocal(path: path) } catch {
      Console.complain("yutu: cannot listen on \(path): \(error); yutuctl has to use --url")
    }
  }

  private func announce(
    _ configuration: Configuration, port: Int, http: String?, plugins loaded: [PluginHost.Status],
    hasGuest: Bool
  ) {
    let (host, plugins) = (configuration.host, configuration.plugins)
    let names = loaded.filter(\.inForce).map(\.name).joined(separator: ", ")
    Console.say("yutu \(Version.current)")
    Console.say("listening amqp \(host):\(port)")
    if let http { Console.say("listening http \(http)") }
    Console.say("plugins from \(plugins): \(names.isEmpty ? "none" : names)")
    for plugin in loaded {
      if let problem = plugin.problem { Console.say("plugin \(plugin.name) is unavailable: \(problem)") }
    }
    for name in configuration.pluginNames where !loaded.contains(where: { $0.name == name }) {
      Console.say("plugin \(name) is configured, and is not there")
    }
    Console.say(DataPlace(configuration).announcement)
    if hasGuest {
      Console.say(
        "log in from this machine as guest with password guest: amqp://guest:guest@\(host):\(port)/%2F")
    } else {
      Console.say("log in as one of this broker's users: amqp://\(host):\(port)")
    }
    // What waits for a RabbitMQ in a container looks for these words.
    Console.say("Server startup complete; \(loaded.count(where: \.inForce)) plugins started.")
  }
}

/// Lines for a person: written at once, so that who started the broker through a pipe sees them.
enum Console {
  static func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
  static func complain(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
}

/// What ends the process in order: signals, which from `init` on no longer end it by themselves, and a store that
/// fails.
final class Signals {
  enum Event: Sendable {
    case signal(Int32)
    case failure(String)
  }

  let stream: AsyncStream<Event>
  let continuation: AsyncStream<Event>.Continuation
  private let sources: [any DispatchSourceSignal]

  init(_ numbers: [Int32]) {
    let (stream, continuation) = AsyncStream.makeStream(of: Event.self)
    (self.stream, self.continuation) = (stream, continuation)
    sources = numbers.map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number)
      source.setEventHandler { continuation.yield(.signal(number)) }
      source.resume()
      return source
    }
  }

  deinit { for source in sources { source.cancel() } }
}
