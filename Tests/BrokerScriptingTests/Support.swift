/// What the tests of BrokerScripting share: a folder of plugins, a broker, and messages to route.

import AMQPWire
import BrokerCore
import BrokerScripting
import Foundation
import Logging
import LuaRuntime
import Testing

final class FakeClock: Clock, @unchecked Sendable {
  // Tests use it from one thread.
  var nanoseconds: UInt64 = 1
  var wallMilliseconds: UInt64 { 1_700_000_000_000 + nanoseconds / 1_000_000 }
}

/// A broker with the plugins of a folder that lives as long as the test.
final class Workshop {
  let folder = FileManager.default.temporaryDirectory.appending(path: "yutu-\(UUID().uuidString)")
  let clock = FakeClock()
  let broker: Broker
  let host: PluginHost
  var loader: PluginLoader
  var vhost: VirtualHost {
    get throws { try #require(broker.vhosts["/"]) }
  }

  init(options: (inout PluginOptions) -> Void = { _ in }) throws {
    try FileManager.default.createDirectory(
      at: folder.appending(path: "exchanges"), withIntermediateDirectories: true)
    var settings = PluginOptions(folder: folder.path)
    settings.limits = LuaLimits(seed: 1)
    options(&settings)
    broker = Broker(clock: clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    host = PluginHost(broker, settings)
    loader = PluginLoader(settings)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func write(_ path: String, _ text: String) throws {
    let file = folder.appending(path: path)
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try text.write(to: file, atomically: true, encoding: .utf8)
  }

  func remove(_ path: String) throws { try FileManager.default.removeItem(at: folder.appending(path: path)) }

  /// An exchange type `name` whose route is `route`.
  func writeType(_ name: String, route: String, more: String = "") throws {
    try write(
      "exchanges/\(name).lua",
      """
      local calls = 0
      local plugin = { api = 1, exchange = { \(more) } }
      plugin.exchange.route = function(message, bindings, index)
      calls = calls + 1
      \(route)
      end
      return plugin
      """)
  }

  /// - Returns: whether there was anything to apply
  @discardableResult
  func reload() -> Bool {
    guard let changes = loader.changes() else { return false }
    host.apply(changes)
    return true
  }

  func problem(_ name: String) -> String? { host.statuses.first { $0.name == name }?.problem }

  func declare(_ exchange: ByteString, _ type: ByteString, arguments: FieldTable = [:]) throws {
    try vhost.declare(ExchangeDefinition(name: exchange, type: type, arguments: arguments))
  }

  func bind(_ exchange: ByteString, _ queue: ByteString, key: ByteString = "", arguments: FieldTable = [:])
    throws
  {
    let declared = try vhost.declare(QueueDefinition(name: queue))
    try vhost.bind(
      source: vhost.exchange(exchange), to: .queue(declared), key: key, arguments: arguments)
  }

  /// Names of the queues, sorted.
  func route(_ exchange: ByteString, key: String = "", headers: FieldTable = [:]) throws -> [String] {
    var properties = BasicProperties()
    if !headers.isEmpty { properties.headers = headers }
    let octets = properties.octets
    let envelope = [UInt8(exchange.count)] + exchange.bytes + [UInt8(key.utf8.count)] + Array(key.utf8)
    let message = try octets.withUnsafeBytes { octets in
      try envelope.withUnsafeBytes { envelope in
        try Message.make(
          envelope: envelope, properties: octets, index: PropertyIndex(octets), bodySize: 0
        ).withExtraKeys()
      }
    }
    let found = try vhost.route(message, from: vhost.exchange(exchange), publisher: Identity(name: "guest"))
    return found.queues.map { $0.name.text }.sorted()
  }
}
