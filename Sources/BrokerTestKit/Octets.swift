import AMQPWire

/// Octets as a client puts them on the wire, right ones and wrong ones. Knows no line.
package enum Octets {
  package static let protocolHeader: [UInt8] = Array("AMQP".utf8) + [0, 0, 9, 1]

  /// - Parameters:
  ///   - size: what the frame says of its payload, if that is not true
  ///   - end: the last octet
  package static func frame(
    _ type: UInt8, channel: UInt16 = 1, _ payload: [UInt8] = [], size: UInt32? = nil,
    end: UInt8 = WireLimits.frameEnd
  ) -> [UInt8] {
    var writer = FieldWriter()
    writer.put(type)
    writer.put(channel)
    writer.put(size ?? UInt32(payload.count))
    writer.put(payload)
    writer.put(end)
    return writer.bytes
  }

  package static func method(_ method: some Method, channel: UInt16 = 1) -> [UInt8] {
    var octets: [UInt8] = []
    method.appendFrame(channel: channel, to: &octets)
    return octets
  }

  /// A method that has only its number, and perhaps octets behind it.
  package static func method(_ id: MethodID, channel: UInt16 = 1, _ arguments: [UInt8] = []) -> [UInt8] {
    var writer = FieldWriter()
    writer.put(id.classID)
    writer.put(id.methodID)
    writer.put(arguments)
    return frame(FrameType.method.rawValue, channel: channel, writer.bytes)
  }

  package static func header(
    channel: UInt16 = 1, bodySize: UInt64, classID: UInt16 = 60, weight: UInt16 = 0,
    properties: [UInt8] = [0, 0]
  ) -> [UInt8] {
    var writer = FieldWriter()
    writer.put(classID)
    writer.put(weight)
    writer.put(bodySize)
    writer.put(properties)
    return frame(FrameType.header.rawValue, channel: channel, writer.bytes)
  }

  package static func body(channel: UInt16 = 1, _ octets: [UInt8]) -> [UInt8] {
    frame(FrameType.body.rawValue, channel: channel, octets)
  }

  /// A whole publish, its body cut into frames of at most `frameMaximum`.
  package static func publish(
    _ method: BasicPublish, channel: UInt16 = 1, properties: BasicProperties = .init(), body: [UInt8],
    frameMaximum: Int = Int(WireLimits.handshakeFrameMaximum)
  ) -> [UInt8] {
    var octets = Self.method(method, channel: channel)
    octets += header(channel: channel, bodySize: UInt64(body.count), properties: properties.octets)
    let most = frameMaximum - WireLimits.frameOverhead
    for start in stride(from: 0, to: body.count, by: most) {
      octets += Self.body(channel: channel, Array(body[start..<min(start + most, body.count)]))
    }
    return octets
  }
}
