/// The bounds of the wire format, in one place. Knows no configuration: what an operator may set is in
/// BrokerCore's `Settings`. Those that each frame needs are inlined into whoever asks.
public enum WireLimits {
  /// Octets around a frame's payload: type, channel, size, and the end octet.
  @inlinable public static var frameOverhead: Int { 8 }
  @inlinable public static var frameHeaderSize: Int { 7 }
  @inlinable public static var frameEnd: UInt8 { 0xCE }
  /// The least frame size that a peer may ask for. The specification says 4,096; RabbitMQ says 8,192.
  public static let frameMinimum: UInt32 = 8192
  /// Before tuning no frame may be larger than this, as in RabbitMQ: a start-ok with its client properties fits well.
  public static let handshakeFrameMaximum: UInt32 = 4096
  /// Tables within tables within arrays: deeper ones are refused, since reading them recurses.
  public static let tableDepth = 64
  /// A content header that announces more octets than this is malformed, as in RabbitMQ: 512 MiB.
  @inlinable public static var bodyAnnounced: UInt64 { 536_870_912 }
  /// class, weight, body size: what stands before the properties in a content header.
  @inlinable public static var contentHeaderSize: Int { 12 }
}
