import AMQPWire

/// How many connections and channels are open, by virtual host and by user: what limits are compared with. Knows no
/// connection.
public struct Census {
  private var vhosts: [ByteString: Int] = [:]
  private var users: [ByteString: (connections: Int, channels: Int)] = [:]

  public init() {}

  public func connections(in vhost: ByteString) -> Int { vhosts[vhost] ?? 0 }
  public func connections(of user: ByteString) -> Int { users[user]?.connections ?? 0 }
  public func channels(of user: ByteString) -> Int { users[user]?.channels ?? 0 }

  public mutating func connectionOpened(in vhost: ByteString, by user: ByteString) {
    vhosts[vhost, default: 0] += 1
    users[user, default: (0, 0)].connections += 1
  }

  public mutating func connectionClosed(in vhost: ByteString, by user: ByteString) {
    let left = connections(in: vhost) - 1
    vhosts[vhost] = left > 0 ? left : nil
    guard var counts = users[user] else { return }
    counts.connections -= 1
    users[user] = counts.connections > 0 ? counts : nil
  }

  /// - Parameter change: how many more there are now
  public mutating func channelsChanged(of user: ByteString, by change: Int) {
    users[user]?.channels += change
  }
}

extension Broker {
  /// - Throws: 530, as RabbitMQ says it
  public func checkConnectionLimits(_ vhost: VirtualHost, _ user: ByteString) throws(ProtocolError) {
    if let most = vhost.limits.connections, most >= 0, census.connections(in: vhost.name) >= most {
      throw ProtocolError(
        .notAllowed,
        "access to vhost '\(vhost.name)' refused for user '\(user)': connection limit (\(most)) is reached")
    }
    if let most = users[user]?.limits.connections, most >= 0, census.connections(of: user) >= most {
      throw ProtocolError(
        .notAllowed,
        "connection refused for user '\(user)': user connection limit (\(most)) is reached")
    }
  }

  /// - Throws: 530, as RabbitMQ says it
  public func checkChannelLimit(_ user: ByteString) throws(ProtocolError) {
    guard let most = users[user]?.limits.channels, most >= 0, census.channels(of: user) >= most else {
      return
    }
    throw ProtocolError(
      .notAllowed,
      "number of channels opened for user '\(user)' has reached the maximum allowed user limit of (\(most))")
  }
}
