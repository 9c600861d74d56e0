/// Where the API's routes meet the broker: work that runs where the broker lives, and who may see what. Knows no path.

internal import AMQPWire
internal import BrokerCore
internal import BrokerServer
internal import Hummingbird
internal import LuaRuntime

struct Desk: Sendable {
  let server: Server

  /// Between two read batches.
  @discardableResult
  func ask<Result: Sendable>(_ work: @escaping @Sendable (Broker) throws -> Result) async throws -> Result {
    try await server.withBroker(work)
  }

  /// A list, a share of it a turn: clients are served meanwhile.
  func gather<Thing, Report: Sendable>(
    _ things: @escaping @Sendable (Broker) throws -> [Thing], _ report: @escaping @Sendable (Thing) -> Report?
  ) async throws -> [Report] {
    try await server.gather(things, report)
  }

  /// What its user may do by AMQP it may do here.
  /// - Throws: what AMQP says
  func require(_ requests: [BrokerCore.AccessRequest], _ call: Call) async throws {
    try await server.require(requests, by: call.login.identity, from: call.login.peer)
  }

  /// - Throws: 404 if there is none, 401 if it is none of the user's
  func vhost(_ name: String, _ call: Call) async throws -> ByteString {
    let vhost = ByteString(name)
    guard try await ask({ $0.vhosts[vhost] != nil }) else { throw Refusal.notFound() }
    guard try await mayEnter(vhost, call) else {
      throw Refusal.notAuthorized("User not authorised to access virtual host")
    }
    return vhost
  }

  /// - Returns: the virtual hosts whose things the user may see: all, for those who watch the broker
  func visible(_ call: Call) async throws -> Set<ByteString> {
    let all = try await ask { Array($0.vhosts.keys) }
    if Role.monitor.isHad(by: call.login.tags) { return Set(all) }
    var mine: Set<ByteString> = []
    for vhost in all where try await mayEnter(vhost, call) { mine.insert(vhost) }
    return mine
  }

  private func mayEnter(_ vhost: ByteString, _ call: Call) async throws -> Bool {
    do {
      try await require([.init(.connect, .vhost, vhost: vhost, name: vhost)], call)
      return true
    } catch is ProtocolError {
      return false
    }
  }
}

extension Response {
  /// 201 for what is new, 204 for what was there.
  static func put(isNew: Bool) -> Response { Response(status: isNew ? .created : .noContent) }
  static let done = Response(status: .noContent)
}

// MARK: messages

extension Desk {
  /// Publishes as a channel does, with the same checks of what the message says.
  /// - Returns: whether a queue has it
  func publish(
    _ body: [UInt8], _ properties: BasicProperties, to name: ByteString, key: ByteString,
    in vhost: ByteString,
    by identity: Identity
  ) async throws -> Bool {
    try await ask { broker in
      let vhost = try broker.virtualHost(vhost)
      let exchange = try vhost.exchange(name)
      guard !exchange.isInternal else {
        throw ProtocolError(
          .accessRefused, "cannot publish to internal \(vhost.describedExchange(exchange.name))")
      }
      if let expiration = properties.expiration { try Expiration.check(expiration) }
      let message = try Message.make(
        exchange: name, routingKey: key, properties: properties, bodySize: body.count)
      if !body.isEmpty { _ = body.withUnsafeBytes { message.appendBody($0) } }
      switch try vhost.publish(try message.withExtraKeys(), to: exchange, by: identity) {
      case .queued(let count): return count > 0
      case .dropped, .delayed: return true
      case .refused: throw Refusal.badRequest("rejected")
      }
    }
  }

  /// Takes messages out of a queue, and settles them together.
  func get(
    _ count: Int, from name: ByteString, in vhost: ByteString, by identity: Identity,
    _ settlement: Settlement
  ) async throws -> [Server.Taken] {
    try await server.take(count, from: name, in: vhost, by: identity, settlement)
  }
}
