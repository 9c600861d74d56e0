import AMQPWire

/// A message: one reference, shared by all queues that hold it, and one block of octets behind it.
/// Knows no queue. Properties and headers stay octets until somebody looks at them.
///
///     +----------------------+-------------------------+------------+------+
///     | exchange, short str. | routing key, short str. | properties | body |
///     +----------------------+-------------------------+------------+------+
///     `---------------- envelope ----------------------'
public final class Message: ManagedBuffer<Message.Layout, UInt8> {
  public struct Layout {
    let exchangeCount: Int
    let envelopeCount: Int
    let propertiesCount: Int
    public let bodyCount: Int
    public var bodyFilled = 0
    public let properties: PropertyIndex
    /// Set when the headers carry CC or BCC.
    public var extraKeys: ExtraKeys?
    /// Where the store keeps the body for several queues.
    public var sharedBody: SharedBody?
    /// An earlier process may have delivered it from another place.
    var mayHaveBeenDelivered = false
  }

  /// - Parameters:
  ///   - envelope: exchange and routing key as two short strings, as they stand in `basic.publish`
  ///   - properties: flags and fields, which `index` was made of
  ///   - bodySize: octets that `appendBody` will bring
  // hot:
  public static func make(
    envelope: UnsafeRawBufferPointer, properties: UnsafeRawBufferPointer, index: PropertyIndex, bodySize: Int
  ) -> Message {
    let made = Message.create(minimumCapacity: envelope.count + properties.count + bodySize) { _ in
      Layout(
        exchangeCount: envelope.isEmpty ? 0 : Int(envelope[0]), envelopeCount: envelope.count,
        propertiesCount: properties.count, bodyCount: bodySize, properties: index)
    }
    let message = unsafeDowncast(made, to: Message.self)
    message.withUnsafeMutablePointerToElements { start in
      let octets = UnsafeMutableRawPointer(start)
      if let base = envelope.baseAddress { octets.copyMemory(from: base, byteCount: envelope.count) }
      if let base = properties.baseAddress {
        (octets + envelope.count).copyMemory(from: base, byteCount: properties.count)
      }
    }
    return message
  }

  /// Stands where there is none. Nobody changes it, so that brokers on several loops may share it.
  nonisolated(unsafe) static let empty = makeEmpty()

  private static func makeEmpty() -> Message {
    let nothing: [UInt8] = [0, 0]
    return nothing.withUnsafeBytes { make(envelope: $0, properties: $0, index: PropertyIndex(), bodySize: 0) }
  }

  /// Stands for one that is in the store alone, with its body.
  static func empty(of body: SharedBody?) -> Message {
    guard let body else { return empty }
    let made = makeEmpty()
    made.header.sharedBody = body
    return made
  }

  /// Appends the payload of a body frame.
  /// - Returns: false, and nothing is appended, if it is more than was announced.
  // hot:
  public func appendBody(_ part: UnsafeRawBufferPointer) -> Bool {
    withUnsafeMutablePointers { layout, start in
      let filled = layout.pointee.bodyFilled
      guard part.count <= layout.pointee.bodyCount - filled else { return false }
      let offset = layout.pointee.envelopeCount + layout.pointee.propertiesCount + filled
      if let base = part.baseAddress {
        (UnsafeMutableRawPointer(start) + offset).copyMemory(from: base, byteCount: part.count)
      }
      layout.pointee.bodyFilled = filled + part.count
      return true
    }
  }

  public var isComplete: Bool { header.bodyFilled == header.bodyCount }
  // hot:
  public var isPersistent: Bool { header.properties.deliveryMode == 2 }

  // The octets below are valid as long as the message is referenced.

  private func octets(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
    withUnsafeMutablePointerToElements { UnsafeRawBufferPointer(start: $0 + offset, count: count) }
  }

  /// All of it: envelope, properties and body, one behind the other.
  public var octets: UnsafeRawBufferPointer {
    octets(0, header.envelopeCount + header.propertiesCount + header.bodyCount)
  }
  /// Exchange and routing key, each with its length octet.
  public var envelope: UnsafeRawBufferPointer { octets(0, header.envelopeCount) }
  public var exchange: UnsafeRawBufferPointer { octets(1, header.exchangeCount) }
  public var routingKey: UnsafeRawBufferPointer {
    let start = header.exchangeCount + 2
    return octets(start, header.envelopeCount - start)
  }
  public var properties: UnsafeRawBufferPointer { octets(header.envelopeCount, header.propertiesCount) }
  public var body: UnsafeRawBufferPointer {
    octets(header.envelopeCount + header.propertiesCount, header.bodyCount)
  }
  /// The fields of the headers table, without its length; empty if there is none.
  public var headers: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: properties[header.properties.headers.range])
  }

  /// The headers as values. They were checked when the message came in, so they can be read.
  public func headerTable() -> FieldTable {
    (try? FieldReader.fields(of: headers)) ?? FieldTable()
  }

  /// A message as `octets` had it. Anything may have happened to them meanwhile.
  /// - Parameter body: the octets behind the properties, if they stand elsewhere
  /// - Returns: nil if they are not those of a message
  public static func restored(
    _ octets: UnsafeRawBufferPointer, envelopeCount: Int, propertiesCount: Int,
    body: UnsafeRawBufferPointer? = nil
  ) -> Message? {
    guard envelopeCount >= 2, propertiesCount >= 2, envelopeCount <= octets.count,
      propertiesCount <= octets.count - envelopeCount
    else { return nil }
    let envelope = UnsafeRawBufferPointer(rebasing: octets[..<envelopeCount])
    let exchangeCount = Int(envelope[0])
    guard exchangeCount + 2 <= envelopeCount,
      exchangeCount + 2 + Int(envelope[exchangeCount + 1]) == envelopeCount
    else { return nil }
    let properties = UnsafeRawBufferPointer(
      rebasing: octets[envelopeCount..<(envelopeCount + propertiesCount)])
    guard let index = try? PropertyIndex(properties) else { return nil }
    let body = body ?? UnsafeRawBufferPointer(rebasing: octets[(envelopeCount + propertiesCount)...])
    let message = make(envelope: envelope, properties: properties, index: index, bodySize: body.count)
    return message.appendBody(body) ? message : nil
  }
}
