/// What a test client speaks over: a socket, or memory. Knows no frame.
///
/// A line is read only when somebody asks for octets: a client that does not ask is a slow reader.
package protocol Line: AnyObject {
  /// Never waits: what the other end does not take yet stands in line.
  func send(_ octets: [UInt8]) async throws
  /// - Throws: `Line.Silence` if nothing comes in time
  func receive() async throws -> Receipt
  /// Ends the line without a word.
  func close() async
}

package enum Receipt: Equatable, Sendable {
  case octets([UInt8])
  /// The other end has closed.
  case end
}

/// Nothing came in time.
package struct Silence: Error {
  package init() {}
}
