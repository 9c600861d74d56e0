/// A frame in a read buffer, and how it is found there. Copies nothing; knows no method.
///
///     0      1         3                7              7+size  8+size
///     +------+---------+----------------+--------------+-------+
///     | type | channel | size           | payload      | 0xCE  |
///     +------+---------+----------------+--------------+-------+

@frozen
public enum FrameType: RawRepresentable, Sendable {
  case method
  case header
  case body
  case heartbeat

  // Written out to be inlined: each frame comes through here.
  @inlinable
  public init?(rawValue: UInt8) {
    switch rawValue {
    case 1: self = .method
    case 2: self = .header
    case 3: self = .body
    case 8: self = .heartbeat
    default: return nil
    }
  }

  @inlinable
  public var rawValue: UInt8 {
    switch self {
    case .method: 1
    case .header: 2
    case .body: 3
    case .heartbeat: 8
    }
  }
}

/// The fields of a frame's first seven octets.
@frozen
public struct FrameHeader {
  public let type: UInt8
  public let channel: UInt16
  public let size: Int

  /// What `octets` begin with, or nil if they are fewer than seven.
  @inlinable
  public init?(_ octets: UnsafeRawBufferPointer) {
    guard octets.count >= WireLimits.frameHeaderSize else { return nil }
    type = octets[0]
    channel = UInt16(bigEndian: octets.loadUnaligned(fromByteOffset: 1, as: UInt16.self))
    size = Int(UInt32(bigEndian: octets.loadUnaligned(fromByteOffset: 3, as: UInt32.self)))
  }

  /// The whole frame's length, with what stands around the payload.
  @inlinable
  public var length: Int { size + WireLimits.frameOverhead }
}

/// The fixed part of a content header frame (class, weight, body size), and the properties behind it.
@frozen
public struct ContentHeader {
  public let classID: UInt16
  public let weight: UInt16
  public let bodySize: UInt64

  @inlinable
  public init?(_ payload: UnsafeRawBufferPointer) {
    guard payload.count >= WireLimits.contentHeaderSize else { return nil }
    classID = UInt16(bigEndian: payload.loadUnaligned(as: UInt16.self))
    weight = UInt16(bigEndian: payload.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
    bodySize = UInt64(bigEndian: payload.loadUnaligned(fromByteOffset: 4, as: UInt64.self))
  }
}
