/// A string of octets, as AMQP carries names, keys, tags and long strings. Knows no character set.
///
/// Two are equal when their octets are: Swift's `String` would take "é" in its composed and its
/// decomposed form for the same queue.
package struct ByteString: Hashable, Sendable {
  package let bytes: [UInt8]

  package init(_ bytes: [UInt8]) { self.bytes = bytes }
  package init(_ bytes: UnsafeRawBufferPointer) { self.bytes = [UInt8](bytes) }
  package init(_ text: String) { self.bytes = Array(text.utf8) }

  package var count: Int { bytes.count }
  package var isEmpty: Bool { bytes.isEmpty }

  /// The octets as text; what is not UTF-8 is shown as U+FFFD.
  package var text: String { String(decoding: bytes, as: UTF8.self) }

  package func hasPrefix(_ prefix: ByteString) -> Bool { bytes.starts(with: prefix.bytes) }

  /// The octets in place. (`Array.withUnsafeBytes` forgets which error its body throws.)
  package func withOctets<Result, Failure: Error>(
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
  package static func == (left: ByteString, right: ByteString) -> Bool { left.bytes == right.bytes }

  @inlinable
  package func hash(into hasher: inout Hasher) {
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
  }
}

extension ByteString: ExpressibleByStringLiteral, CustomStringConvertible, Comparable {
  package init(stringLiteral text: String) { self.init(text) }
  package var description: String { text }
  package static func < (left: ByteString, right: ByteString) -> Bool {
    left.bytes.lexicographicallyPrecedes(right.bytes)
  }
}
