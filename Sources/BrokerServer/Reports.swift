import AMQPWire
import BrokerCore

/// Connections, channels and consumers as they are when they are asked, under RabbitMQ's names. Knows no HTTP.

package struct ConnectionReport: Sendable {
  package let name: String
  package let peer: PeerAddress
  package let local: PeerAddress?
  package let vhost: ByteString
  package let user: String
  package let mechanism: ByteString
  package let clientProperties: FieldTable
  package let channels: Int
  package let channelMaximum: Int
  package let frameMaximum: Int
  package let heartbeatSeconds: Int
  /// Its publishers have to wait.
  package let isBlocked: Bool
  /// Milliseconds since 1970.
  package let connectedAt: UInt64
  package let receivedOctets: UInt64
  package let sentOctets: UInt64
}

package struct ChannelReport: Sendable {
  package let connection: String
  package let peer: PeerAddress
  package let number: Int
  package let vhost: ByteString
  package let user: String
  package let consumers: [ConsumerReport]
  package let unacknowledged: Int
  package let unconfirmed: Int
  package let uncommitted: Int
  package let uncommittedAcks: Int
  package let prefetch: Int
  package let globalPrefetch: Int
  package let isConfirming: Bool
  package let isTransactional: Bool

  /// As RabbitMQ shows it: the connection's name and the number.
  package var name: String { "\(connection) (\(number))" }
}

package struct ConsumerReport: Sendable {
  package let channel: String
  package let connection: String
  package let number: Int
  package let user: String
  package let peer: PeerAddress
  package let vhost: ByteString
  package let queue: ByteString
  package let tag: ByteString
  package let isAcknowledging: Bool
  package let isExclusive: Bool
  package let prefetch: Int
  package let arguments: FieldTable
}

extension Server {
  /// Those that have opened their virtual host.
  package func connections() async throws -> [ConnectionReport] {
    try await gatherConnections { $0.report }.sorted { $0.name < $1.name }
  }

  package func channels() async throws -> [ChannelReport] {
    try await gatherConnections { connection in
      connection.channels.values.sorted { $0.number < $1.number }.map(\.report)
    }
    .flatMap { $0 }.sorted { ($0.connection, $0.number) < ($1.connection, $1.number) }
  }

  /// Ends connections in order, as an operator's wish.
  /// - Returns: how many there were
  package func closeConnections(
    _ reason: String, where isWanted: @escaping @Sendable (ConnectionReport) -> Bool
  ) async throws -> Int {
    let core = core
    return try await loop.submit {
      defer { core.value.flush() }
      var count = 0
      for connection in core.value.connections.values {
        guard let report = connection.report, isWanted(report) else { continue }
        count += 1
        connection.close(ProtocolError(.connectionForced, reason), method: nil)
      }
      return count
    }.get()
  }

  private func gatherConnections<Report: Sendable>(
    _ report: @escaping @Sendable (ClientConnection) -> Report?
  ) async throws -> [Report] {
    let core = core
    return try await gather { _ in
      Array(core.value.connections.values)
    } _: {
      $0.vhost == nil ? nil : report($0)
    }
  }
}

extension ClientConnection {
  /// Nil as long as it has opened no virtual host.
  var report: ConnectionReport? {
    guard phase == .running, handshake.state == .done, let vhost else { return nil }
    return ConnectionReport(
      name: name, peer: peer.address, local: peer.local, vhost: vhost.name, user: identity.name,
      mechanism: handshake.mechanism, clientProperties: handshake.clientProperties, channels: channels.count,
      channelMaximum: Int(handshake.channelMaximum), frameMaximum: Int(handshake.frameMaximum),
      heartbeatSeconds: Int(handshake.heartbeatSeconds), isBlocked: waiting.isBlocked,
      connectedAt: connectedAt, receivedOctets: receivedOctets, sentOctets: sentOctets)
  }

  /// "127.0.0.1:50000 -> 127.0.0.1:5672", as RabbitMQ calls it.
  var name: String { "\(peer.address.shown) -> \(peer.local?.shown ?? "unknown")" }
}

extension ClientChannel {
  fileprivate var report: ChannelReport {
    let (name, peer) = (connection.name, connection.peer.address)
    let channel = "\(name) (\(number))"
    let consumers = consumers.values.sorted { $0.tag < $1.tag }.map { consumer in
      ConsumerReport(
        channel: channel, connection: name, number: Int(number), user: connection.identity.name, peer: peer,
        vhost: vhost.name, queue: consumer.queue.name, tag: consumer.tag, isAcknowledging: !consumer.noAck,
        isExclusive: consumer.exclusive, prefetch: consumer.prefetch, arguments: consumer.arguments)
    }
    return ChannelReport(
      connection: name, peer: peer, number: Int(number), vhost: vhost.name, user: connection.identity.name,
      consumers: consumers, unacknowledged: deliveries.count,
      unconfirmed: confirms.map { Int(clamping: $0.unconfirmed) } ?? 0,
      uncommitted: transaction?.publishes.count ?? 0, uncommittedAcks: transaction?.settlements.count ?? 0,
      prefetch: prefetch, globalPrefetch: deliveries.limit, isConfirming: confirms != nil,
      isTransactional: transaction != nil)
  }
}

extension PeerAddress {
  var shown: String { "\(address.contains(":") ? "[\(address)]" : address):\(port)" }
}
