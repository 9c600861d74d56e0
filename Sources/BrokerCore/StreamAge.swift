import AMQPWire

/// How RabbitMQ writes a span of time in `x-max-age` and `x-stream-offset`: a number and Y, M, D, h, m or s. Knows no
/// stream.
enum StreamAge {
  /// - Returns: nil if it is none
  static func seconds(_ text: ByteString) -> UInt64? {
    guard let unit = text.bytes.last, let scale = scales[unit],
      let number = UInt64(ByteString(Array(text.bytes.dropLast())).text)
    else { return nil }
    let (seconds, overflow) = number.multipliedReportingOverflow(by: scale)
    return overflow ? nil : seconds
  }

  private static let scales: [UInt8: UInt64] = [
    UInt8(ascii: "Y"): 31_536_000, UInt8(ascii: "M"): 2_592_000, UInt8(ascii: "D"): 86_400,
    UInt8(ascii: "h"): 3600, UInt8(ascii: "m"): 60, UInt8(ascii: "s"): 1,
  ]
}
