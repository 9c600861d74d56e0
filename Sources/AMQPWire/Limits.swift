/// The bounds of the wire format, in one place. Knows no configuration: what an operator may set is in
/// BrokerCore's `Settings`.
package enum WireLimits {
  /// Octets around a frame's payload: type, channel, size, and the end octet.
  package static let frameOverhead = 8
  package static let frameHeaderSize = 7
  package static let frameEnd: UInt8 = 0xCE
  /// The least frame size that a peer may ask for. The specification says 4,096; RabbitMQ says 8,192.
  package static let frameMinimum: UInt32 = 8192
  /// Before tuning no frame may be larger than this: a start-ok with its client properties fits well.
  package static let handshakeFrameMaximum: UInt32 = 131_072
  /// Tables within tables within arrays: deeper ones are refused, since reading them recurses.
  package static let tableDepth = 64
  /// A content header that announces more octets than this is malformed, as in RabbitMQ: 512 MiB.
  package static let bodyAnnounced: UInt64 = 536_870_912
  /// class, weight, body size: what stands before the properties in a content header.
  package static let contentHeaderSize = 12
}
