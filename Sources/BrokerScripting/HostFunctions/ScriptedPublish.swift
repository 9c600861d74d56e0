/// `publish{…}` of scripts: a message of their own, or a copy of the one at hand. Knows no interpreter.

internal import AMQPWire
internal import BrokerCore

struct ScriptedPublish {
  private let message: Message
  private let queue: ByteString?
  private let vhost: ByteString?

  /// - Throws: 406 that names the field that is wrong
  init(_ fields: FieldTable, copyOf original: Message?) throws(ProtocolError) {
    var fields = fields
    func take(_ name: ByteString) throws(ProtocolError) -> ByteString? {
      guard let value = fields[name] else { return nil }
      fields.removeAll(name)
      guard let text = value.string, text.count <= 255 else {
        throw ProtocolError(
          .preconditionFailed, "field '\(name)' is \(value.shown), expected a string of at most 255 bytes")
      }
      return text
    }
    vhost = try take("vhost")
    queue = try take("queue")
    let exchange = try take("exchange")
    let base: Message
    if let original {
      base = original
    } else {
      base = try Message.make(exchange: "", routingKey: "", properties: BasicProperties(), bodySize: 0)
    }
    message = try MessageChange(fields).applied(to: base, exchange: exchange)
  }

  /// - Returns: why it cannot be published
  func perform(in current: VirtualHost?, of broker: Broker) -> String? {
    let name = vhost ?? current?.name ?? "/"
    guard let target = broker.vhosts[name] else { return "no vhost '\(name)'" }
    return target.publishLater(message, intoQueue: queue, by: current?.publisher ?? .none)
  }
}
