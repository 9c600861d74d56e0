import AMQPWire
import BrokerCore

/// Messages as a publisher would have sent them. Knows no channel.
extension Message {
  /// - Parameter body: as text, which tests compare
  package static func of(
    _ body: String, exchange: ByteString = "", key: ByteString = "", properties: BasicProperties = .init()
  ) -> Message {
    var envelope = FieldWriter()
    envelope.put(shortString: exchange)
    envelope.put(shortString: key)
    let octets = properties.octets
    let message = envelope.bytes.withUnsafeBytes { envelope in
      octets.withUnsafeBytes { properties in
        guard let index = try? PropertyIndex(properties) else {
          preconditionFailure("properties that were written can be read")
        }
        return Message.make(
          envelope: envelope, properties: properties, index: index, bodySize: body.utf8.count)
      }
    }
    let fits = Array(body.utf8).withUnsafeBytes { message.appendBody($0) }
    precondition(fits, "a body fits into a message of its size")
    return message
  }

  package var bodyText: String { ByteString(body).text }
}
