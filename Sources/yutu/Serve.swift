import AMQPWire
import ArgumentParser
import BrokerCore
import BrokerManagement
import BrokerScripting
import BrokerServer
import Dispatch
import Foundation
import Logging
import NIOCore

/// `yutu serve`: wires the broker together, says what it does, and waits for a signal.
struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Run the broker in the foreground.")

  @Option(help: "The address to listen on.")
  var host = "127.0.0.1"

  @Option(help: "The AMQP port; 0 lets the system choose.")
  var port = 5672

  @Option(help: "The port of the HTTP API and the metrics; 0 lets the system choose.")
  var httpPort = 15672

  @Flag(help: "Serve no HTTP at all.")
  var noHttp = false

  @Option(help: "Where data is kept. This version keeps everything in memory, whatever is said here.")
  var dataDir: String?

  @Option(help: "The folder with the Lua plugins.")
  var plugins = "plugins"

  @Option(help: "The most octets of a message's body.")
  var maxMessageSize = Settings().bodyMaximum

  @Option(help: "How much to log: trace, debug, info, notice, warning, error or critical.")
  var logLevel = "info"

  func validate() throws {
    guard Logger.Level(rawValue: logLevel) != nil else {
      let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("--log-level \(logLevel): expected one of \(known)")
    }
    let announced = Int(WireLimits.bodyAnnounced)
    guard 0...announced ~= maxMessageSize else {
      throw ValidationError("--max-message-size \(maxMessageSize): expected 0 to \(announced) octets")
    }
    guard 0...65_535 ~= port else { throw ValidationError("--port \(port): expected 0 to 65535") }
  }

  func run() async throws {
    signal(SIGPIPE, SIG_IGN)
    let signals = Signals([SIGINT, SIGTERM, SIGHUP])
    let level = Logger.Level(rawValue: logLevel) ?? .info
    var settings = Settings()
    settings.bodyMaximum = maxMessageSize
    let server = try await Server { [settings] in
      var logger = Logger(label: "yutu", factory: { PlainLog(label: $0) })
      logger.logLevel = level
      return Broker(settings: settings, logger: logger)
    }
    let room = try await load(into: server)
    let loaded = try await room?.statuses() ?? []
    do {
      let address = try await server.listen(host: host, port: port)
      let http = try await startManagement(room, beside: server)
      announce(port: address?.port ?? port, http: http, plugins: loaded)
    } catch let error as ExitCode {
      throw error
    } catch {
      let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
      Console.complain("yutu: cannot listen on \(host):\(port): \(reason)")
      throw ExitCode(1)
    }
    for await signal in signals.stream {
      guard signal == SIGHUP else { break }
      _ = try? await room?.reload()
    }
    await room?.stop()
    try await server.stop()
  }

  /// Puts the plugins into force before the first client comes, and watches their folder from then on.
  private func load(into server: Server) async throws -> PluginRoom? {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: plugins, isDirectory: &isFolder), isFolder.boolValue else {
      Console.complain("yutu: --plugins \(plugins): no such folder; running without plugins")
      return nil
    }
    let options = PluginOptions(folder: plugins)
    let loop = server.eventLoop
    let host = try await server.beside { broker, flush in
      PluginHost(broker, options, seat: LoopSeat(loop: loop, flush: flush))
    }
    let room = PluginRoom(host, loop, options)
    try await room.start()
    Task { await room.watch() }
    return room
  }

  /// - Returns: the port it listens on
  private func startManagement(_ room: PluginRoom?, beside server: Server) async throws -> Int? {
    guard !noHttp, let room else { return nil }
    let management = Management(
      control: room, version: Version.current, logger: Logger(label: "http", factory: { PlainLog(label: $0) })
    ) { user, password, isLoopback in
      let peer = PeerAddress(address: isLoopback ? "127.0.0.1" : "", port: 0, isLoopback: isLoopback)
      guard let identity = try? await server.logIn(user: user, password: password, from: peer) else { return nil }
      return Management.Login(name: identity.name, tags: identity.tags)
    }
    do {
      return try await management.start(host: host, port: httpPort)
    } catch {
      Console.complain("yutu: cannot listen for HTTP on \(host):\(httpPort): \(error)")
      throw ExitCode(1)
    }
  }

  private func announce(port: Int, http: Int?, plugins loaded: [PluginHost.Status]) {
    let names = loaded.filter(\.inForce).map(\.name).joined(separator: ", ")
    Console.say("yutu \(Version.current)")
    Console.say("listening amqp \(host):\(port)")
    if let http { Console.say("listening http \(host):\(http)") }
    Console.say("plugins from \(plugins): \(names.isEmpty ? "none" : names)")
    for plugin in loaded {
      if let problem = plugin.problem { Console.say("plugin \(plugin.name) is unavailable: \(problem)") }
    }
    let kept = dataDir.map { $0 == ":memory:" ? "" : "; \($0) is not used" } ?? ""
    Console.say("data is in memory: nothing outlives this process\(kept)")
    Console.say(
      "log in from this machine as guest with password guest: amqp://guest:guest@\(host):\(port)/%2F")
  }
}

/// Lines for a person: written at once, so that who started the broker through a pipe sees them.
enum Console {
  static func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }
  static func complain(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
}

/// Signals that ask for a stop in order. From `init` on they no longer end the process by themselves.
final class Signals {
  let stream: AsyncStream<Int32>
  private let sources: [any DispatchSourceSignal]

  init(_ numbers: [Int32]) {
    let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
    self.stream = stream
    sources = numbers.map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number)
      source.setEventHandler { continuation.yield(number) }
      source.resume()
      return source
    }
  }

  deinit { for source in sources { source.cancel() } }
}
