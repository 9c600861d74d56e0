import AMQPWire

/// What came from a broker, cut by the test kit's own hand. Knows no line.
package enum Arrival {
  case method(Received)
  case heartbeat
  /// The broker's protocol header, its answer to one that it does not speak.
  case protocolHeader([UInt8])
  case end
}

/// A method, with its content if it has one.
package struct Received {
  package let channel: UInt16
  package let method: any Method
  package fileprivate(set) var content: Content?
}

package struct Content {
  package let properties: BasicProperties
  package fileprivate(set) var body: [UInt8] = []
  /// How many octets of the body each frame had.
  package fileprivate(set) var parts: [Int] = []

  package var text: String { ByteString(body).text }
}

extension Arrival: CustomStringConvertible {
  /// One line of a transcript.
  package var description: String {
    switch self {
    case .method(let received):
      "\(received.channel) \(received.method)"
        + (received.content.map { " with \($0.body.count) octets \(ByteString(Array($0.body.prefix(40))))" }
          ?? "")
    case .heartbeat: "heartbeat"
    case .protocolHeader(let octets): "protocol header \(octets)"
    case .end: "end"
    }
  }
}

/// The broker broke the protocol.
package struct Malformed: Error, CustomStringConvertible {
  package let description: String
}

/// Cuts what a broker sends into methods and contents, and checks each frame against the negotiated size.
package struct ArrivalReader {
  private var octets: [UInt8] = []
  /// Methods whose content is not complete, by channel.
  private var open: [UInt16: (received: Received, size: Int)] = [:]
  package var frameMaximum = Int(WireLimits.handshakeFrameMaximum)

  package init() {}

  /// - Throws: `Malformed`
  package mutating func read(_ come: [UInt8]) throws -> [Arrival] {
    if octets.isEmpty { octets = come } else { octets += come }
    var arrivals: [Arrival] = []
    var position = 0
    try octets.withUnsafeBytes { all in
      while let (frame, end) = try Self.frame(in: all, at: position, frameMaximum) {
        position = end
        if let arrival = try frame.map({ try take($0) }) ?? .protocolHeader(Array(all[..<end])) {
          arrivals.append(arrival)
        }
      }
    }
    octets.removeFirst(position)
    return arrivals
  }

  private struct Frame {
    let type: FrameType
    let channel: UInt16
    let payload: UnsafeRawBufferPointer
  }

  /// - Returns: the frame, or nil for a protocol header, and where the next begins; nil if it is not complete
  private static func frame(
    in all: UnsafeRawBufferPointer, at start: Int, _ maximum: Int
  ) throws -> (frame: Frame?, end: Int)? {
    let rest = UnsafeRawBufferPointer(rebasing: all[start...])
    guard rest.count >= 8, let header = FrameHeader(rest) else { return nil }
    if rest[0] == UInt8(ascii: "A") { return (nil, start + 8) }
    guard let type = FrameType(rawValue: header.type) else {
      throw Malformed(description: "a frame of type \(header.type)")
    }
    guard header.length <= maximum else {
      throw Malformed(description: "a frame of \(header.length) octets, the most is \(maximum)")
    }
    guard rest.count >= header.length else { return nil }
    guard rest[header.length - 1] == WireLimits.frameEnd else {
      throw Malformed(description: "a frame that ends with \(rest[header.length - 1])")
    }
    let payload = UnsafeRawBufferPointer(rebasing: rest[WireLimits.frameHeaderSize..<(header.length - 1)])
    return (Frame(type: type, channel: header.channel, payload: payload), start + header.length)
  }

  private mutating func take(_ frame: Frame) throws -> Arrival? {
    switch frame.type {
    case .heartbeat: return .heartbeat
    case .method:
      guard open[frame.channel] == nil else { throw Malformed(description: "a method within a content") }
      let received = Received(channel: frame.channel, method: try Self.method(frame.payload))
      guard Self.hasContent.contains(type(of: received.method).id) else { return .method(received) }
      open[frame.channel] = (received, -1)
    case .header:
      guard var (received, _) = open[frame.channel], received.content == nil,
        let header = ContentHeader(frame.payload)
      else { throw Malformed(description: "a content header out of place") }
      let properties = UnsafeRawBufferPointer(rebasing: frame.payload[WireLimits.contentHeaderSize...])
      received.content = Content(properties: try BasicProperties(properties))
      open[frame.channel] = (received, Int(header.bodySize))
    case .body:
      guard open[frame.channel]?.received.content != nil else {
        throw Malformed(description: "a body out of place")
      }
      open[frame.channel]?.received.content?.body.append(contentsOf: frame.payload)
      open[frame.channel]?.received.content?.parts.append(frame.payload.count)
    }
    guard let (received, size) = open[frame.channel], let content = received.content,
      content.body.count >= size
    else { return nil }
    guard content.body.count == size else { throw Malformed(description: "a body longer than announced") }
    open[frame.channel] = nil
    return .method(received)
  }

  private static let hasContent: Set<MethodID> = [BasicDeliver.id, BasicReturn.id, BasicGetOk.id]
  private static let types: [MethodID: any Method.Type] = Dictionary(
    uniqueKeysWithValues: MethodID.all.map { ($0.id, $0) })

  private static func method(_ payload: UnsafeRawBufferPointer) throws -> any Method {
    var reader = FieldReader(payload)
    let id = MethodID(try reader.short(), try reader.short())
    guard let type = types[id] else { throw Malformed(description: "method \(id)") }
    return try type.init(arguments: UnsafeRawBufferPointer(rebasing: payload[4...]))
  }
}
