import AMQPWire

/// The property `expiration`: milliseconds in decimal digits, ten years at most. Knows no queue.
public enum Expiration {
  /// - Throws: 406 with what is wrong, in RabbitMQ's words
  public static func check(_ value: ByteString) throws(ProtocolError) {
    let text = value.text
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == "-" || $0 == "+") }
    let rest = text.dropFirst(number.count)
    let problem: String? =
      switch Int64(number) {
      case nil: "no_integer"
      case _? where !rest.isEmpty: "{leftover_string,\"\(rest)\"}"
      case let number? where number < 0: "{value_negative,\(number)}"
      case let number? where number > 315_360_000_000: "{value_too_large,\(number)}"
      default: nil
      }
    if let problem { throw ProtocolError(.preconditionFailed, "invalid expiration '\(text)': \(problem)") }
  }
}
