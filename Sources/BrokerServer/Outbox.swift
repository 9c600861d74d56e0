import AMQPWire
import BrokerCore
import NIOCore

/// What a connection is going to send: frames are put together in place, in one buffer, and leave in one
/// write. Knows no socket.
final class Outbox {
  private var buffer = ByteBuffer()
  /// The buffer that was sent last: used again when the socket has let go of it.
  private var spare = ByteBuffer()
  private let limit: Int
  /// Set by the connection: the socket has more than it can send.
  var isSocketFull = false {
    didSet { if !isSocketFull { replyOctets = 0 } }
  }
  /// Octets of replies since the socket last took all there was. Replies have no credit, as deliveries have.
  private var replyOctets = 0
  private var replyLimit: Int
  /// Nothing more is to be looked at, whatever room there is: the connection waits for something else.
  var isHeld = false {
    didSet { replyLimit = isHeld ? 0 : limit }
  }
  /// A delivery was withheld since `isOpen` was last asked; the connection resumes consumers after a flush.
  private(set) var wasFull = false
  /// Called when the first octet is put into an empty buffer.
  var onFirst: () -> Void = {}
  /// Called when one more would make the buffer larger than `most`: what is in it is to be taken.
  var onLarge: () -> Void = {}
  /// A buffer ends at 4 GiB; far below it, it is handed to the socket in the middle of a turn.
  private static let most = 268_435_456

  init(limit: Int) {
    self.limit = limit
    replyLimit = limit
  }

  /// False while the peer does not take the replies to what it sent, and while the connection waits: no more of
  /// what it sends is looked at then.
  // hot:
  var hasRoomForReplies: Bool { replyOctets < replyLimit }

  /// False while the peer does not read as fast as it is written to: deliveries wait then.
  // hot:
  var isOpen: Bool {
    if !isSocketFull, buffer.readableBytes < limit { return true }
    wasFull = true
    return false
  }

  var isEmpty: Bool { buffer.readableBytes == 0 }

  /// What has been taken was given to the socket, which says by `isSocketFull` whether it had room.
  func wasSent() {
    if !isSocketFull { replyOctets = 0 }
  }

  func countReply(of message: Message) { replyOctets += message.body.count + message.properties.count }

  /// What is to be sent, or nil.
  func take() -> ByteBuffer? {
    guard buffer.readableBytes > 0 else { return nil }
    let full = buffer
    // Nobody else may refer to the spare when it is cleared, or it is not used again but copied.
    buffer = ByteBuffer()
    swap(&buffer, &spare)
    buffer.clear()
    spare = full
    return full
  }

  /// True once after deliveries were withheld.
  func takeWasFull() -> Bool {
    defer { wasFull = false }
    return wasFull
  }

  /// Lets go of the memory of a connection that is idle.
  func shrink() {
    guard buffer.readableBytes == 0, buffer.capacity + spare.capacity > 0 else { return }
    buffer = ByteBuffer()
    spare = ByteBuffer()
  }

  // MARK: frames

  @inline(__always)
  private func append(_ count: Int, _ write: (inout OctetCursor) -> Void) {
    if buffer.readableBytes > 0, buffer.readableBytes + count > Self.most { onLarge() }
    if buffer.readableBytes == 0 { onFirst() }
    buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { space in
      guard let base = space.baseAddress else { return 0 }
      var cursor = OctetCursor(at: base)
      write(&cursor)
      return count
    }
  }

  func send(_ method: some Method, channel: UInt16) {
    var frame: [UInt8] = []
    method.appendFrame(channel: channel, to: &frame)
    send(octets: frame)
  }

  func send(octets: [UInt8]) {
    replyOctets += octets.count
    append(octets.count) { cursor in octets.withUnsafeBytes { cursor.put($0) } }
  }

  func sendHeartbeat() {
    send(octets: [FrameType.heartbeat.rawValue, 0, 0, 0, 0, 0, 0, WireLimits.frameEnd])
  }

  /// Appends a method with the content behind it, the body cut into frames of at most `frameMaximum`.
  /// - Parameter arguments: writes exactly `argumentsCount` octets
  // hot:
  @inline(__always)
  func sendContent(
    _ id: MethodID, channel: UInt16, message: Message, frameMaximum: Int, argumentsCount: Int,
    _ arguments: (inout OctetCursor) -> Void
  ) {
    let properties = message.properties
    let body = message.body
    let partMaximum = frameMaximum - WireLimits.frameOverhead
    let parts = body.isEmpty ? 0 : (body.count + partMaximum - 1) / partMaximum
    let methodCount = 4 + argumentsCount
    let headerCount = WireLimits.contentHeaderSize + properties.count
    let total = methodCount + headerCount + body.count + (2 + parts) * WireLimits.frameOverhead
    append(total) { cursor in
      cursor.put(FrameType.method.rawValue)
      cursor.put(channel)
      cursor.put(UInt32(truncatingIfNeeded: methodCount))
      cursor.put(id.classID)
      cursor.put(id.methodID)
      arguments(&cursor)
      cursor.put(WireLimits.frameEnd)

      cursor.put(FrameType.header.rawValue)
      cursor.put(channel)
      cursor.put(UInt32(truncatingIfNeeded: headerCount))
      cursor.put(id.classID)
      cursor.put(UInt16(0))
      cursor.put(UInt64(body.count))
      cursor.put(properties)
      cursor.put(WireLimits.frameEnd)

      var start = 0
      while start < body.count {
        let count = min(partMaximum, body.count - start)
        cursor.put(FrameType.body.rawValue)
        cursor.put(channel)
        cursor.put(UInt32(truncatingIfNeeded: count))
        cursor.put(UnsafeRawBufferPointer(rebasing: body[start..<(start + count)]))
        cursor.put(WireLimits.frameEnd)
        start += count
      }
    }
  }
}

/// Writes octets one after the other into memory that was reserved for them.
struct OctetCursor {
  private var at: UnsafeMutableRawPointer

  init(at start: UnsafeMutableRawPointer) { at = start }

  @inline(__always)
  mutating func put<I: FixedWidthInteger>(_ value: I) {
    at.storeBytes(of: value.bigEndian, as: I.self)
    at += MemoryLayout<I>.size
  }

  @inline(__always)
  mutating func put(_ octets: UnsafeRawBufferPointer) {
    guard let base = octets.baseAddress else { return }
    at.copyMemory(from: base, byteCount: octets.count)
    at += octets.count
  }
}
