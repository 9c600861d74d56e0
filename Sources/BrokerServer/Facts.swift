import AMQPWire
import BrokerCore

/// What events say of connections, channels and logins, by RabbitMQ's names. Knows no exchange.
extension ClientConnection {
  var facts: FieldTable {
    var facts = placeFacts
    facts.append("name", .string(ByteString(name)))
    facts.append("user", .string(identity.nameOctets))
    facts.append("vhost", .string(vhost?.name ?? ""))
    facts.append("channel_max", .int64(Int64(handshake.channelMaximum)))
    facts.append("frame_max", .int64(Int64(handshake.frameMaximum)))
    facts.append("timeout", .int64(Int64(handshake.heartbeatSeconds)))
    facts.append("client_properties", .table(handshake.clientProperties))
    facts.append("node", .string(ByteString(broker.settings.nodeName)))
    facts.append("user_who_performed_action", identity.acting)
    return facts
  }

  private var placeFacts: FieldTable {
    [
      "host": .string(ByteString(peer.local?.address ?? "unknown")),
      "port": .int64(Int64(peer.local?.port ?? 0)), "peer_host": .string(ByteString(peer.address.address)),
      "peer_port": .int64(Int64(peer.address.port)), "protocol": "AMQP 0-9-1",
      "auth_mechanism": .string(handshake.mechanism), "ssl": false,
    ]
  }

  /// - Parameters:
  ///   - user: whom the client said it is, or who it is
  ///   - failure: why it may not be; nil if it is
  func noteLogin(_ user: ByteString, failure: String? = nil) {
    func facts() -> FieldTable {
      var facts = placeFacts
      facts.append("name", .string(user))
      facts.append("connection_name", .string(ByteString(name)))
      if let failure { facts.append("error", .string(ByteString(failure))) }
      return facts
    }
    broker.note(
      failure == nil ? "user.authentication.success" : "user.authentication.failure", facts())
  }
}

extension ClientChannel {
  var facts: FieldTable {
    [
      "name": .string(name.shown), "connection": .string(ByteString(name.connection)),
      "number": .int64(Int64(number)), "user": .string(connection.identity.nameOctets),
      "vhost": .string(vhost.name), "user_who_performed_action": connection.identity.acting,
    ]
  }
}
