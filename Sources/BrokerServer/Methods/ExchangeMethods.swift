import AMQPWire
import BrokerCore

/// What the class `exchange` means. Knows no frame.
extension ClientChannel {
  func declare(_ method: ExchangeDeclare) throws(ProtocolError) {
    let name = method.exchange.withoutLineEnds
    if method.passive {
      guard !name.isEmpty else { throw Self.notOnDefault }
      try checkAny(exchange: name)
      _ = try vhost.exchange(name)
    } else {
      guard connection.broker.knowsExchangeType(method.type) else {
        throw ProtocolError(.preconditionFailed, "unknown exchange type '\(method.type)'")
      }
      guard !name.isEmpty else { throw Self.notOnDefault }
      try check(.configure, exchange: name)
      if vhost.exchanges[name] == nil, !name.hasPrefix("amq."),
        let alternate = method.arguments["alternate-exchange"]?.string
      {
        try check(.read, exchange: name)
        try check(.write, exchange: alternate)
      }
      try vhost.declare(
        ExchangeDefinition(
          name: name, type: method.type, durable: method.durable, autoDelete: method.autoDelete,
          isInternal: method.isInternal, arguments: method.arguments), by: connection.identity)
    }
    if !method.noWait { sendWhenDefined(ExchangeDeclareOk()) }
  }

  /// A missing exchange is no error: it is as the client wants it.
  func delete(_ method: ExchangeDelete) throws(ProtocolError) {
    let name = method.exchange.withoutLineEnds
    guard !name.isEmpty else { throw Self.notOnDefault }
    guard !name.hasPrefix("amq.") else {
      throw ProtocolError(
        .accessRefused, "deletion of system \(vhost.describedExchange(name)) not allowed")
    }
    try check(.configure, exchange: name)
    try vhost.deleteExchange(name, ifUnused: method.ifUnused)
    if !method.noWait { sendWhenDefined(ExchangeDeleteOk()) }
  }

  func bind(_ method: ExchangeBind) throws(ProtocolError) {
    let (source, destination) = try ends(method.source, method.destination, method.routingKey)
    try vhost.bind(
      source: try vhost.exchange(source), to: .exchange(try vhost.exchange(destination)),
      key: method.routingKey, arguments: method.arguments)
    if !method.noWait { sendWhenDefined(ExchangeBindOk()) }
  }

  func unbind(_ method: ExchangeUnbind) throws(ProtocolError) {
    let (source, destination) = try ends(method.source, method.destination, method.routingKey)
    if let source = vhost.exchanges[source], let destination = vhost.exchanges[destination] {
      vhost.unbind(
        source: source, from: .exchange(destination), key: method.routingKey, arguments: method.arguments)
    }
    if !method.noWait { sendWhenDefined(ExchangeUnbindOk()) }
  }

  private func ends(
    _ source: ByteString, _ destination: ByteString, _ key: ByteString
  ) throws(ProtocolError) -> (ByteString, ByteString) {
    let (source, destination) = (source.withoutLineEnds, destination.withoutLineEnds)
    try check(.write, exchange: destination)
    guard !source.isEmpty, !destination.isEmpty else { throw Self.notOnDefault }
    try checkSource(source, key)
    return (source, destination)
  }
}
