/// A string of octets, as AMQP carries names, keys, tags and long strings. Knows no character set.
///
/// Two are equal when their octets are: Swift's `String` would take "é" in its composed and its
/// decomposed form for the same queue.
public struct ByteString: Hashable, Sendable {
  public let bytes: [UInt8]

  public init(_ bytes: [UInt8]) { self.bytes = bytes }
  public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = [UInt8](bytes) }
  public init(_ text: String) { self.bytes = Array(text.utf8) }

  public var count: Int { bytes.count }
  public var isEmpty: Bool { bytes.isEmpty }

  /// The octets as text; what is not UTF-8 is shown as U+FFFD.
  public var text: String { String(decoding: bytes, as: UTF8.self) }

  public func hasPrefix(_ prefix: ByteString) -> Bool { bytes.starts(with: prefix.bytes) }

  /// The octets in place. (`Array.withUnsafeBytes` forgets which error its body throws.)
  public func withOctets<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let result = bytes.withUnsafeBytes { octets in
      do throws(Failure) {
        return Swift.Result<Result, Failure>.success(try body(octets))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  @inlinable
  public static func == (left: ByteString, right: ByteString) -> Bool { left.bytes == right.bytes }

  @inlinable
  public func hash(into hasher: inout Hasher) {
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
  }
}

extension ByteString: ExpressibleByStringLiteral, CustomStringConvertible, Comparable {
  public init(stringLiteral text: String) { self.init(text) }
  public var description: String { text }
  public static func < (left: ByteString, right: ByteString) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}
