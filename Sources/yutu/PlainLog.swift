import BrokerServer
import Logging

/// The log on standard error: what peers put into names cannot make a line of its own, or colour a terminal.
struct PlainLog: LogHandler {
  private var lines: StreamLogHandler
  private let copies: LogLines?

  /// - Parameter copies: gets each line too
  init(label: String, copies: LogLines? = nil) {
    lines = .standardError(label: label)
    self.copies = copies
  }

  var logLevel: Logger.Level {
    get { lines.logLevel }
    set { lines.logLevel = newValue }
  }
  var metadata: Logger.Metadata {
    get { lines.metadata }
    set { lines.metadata = newValue }
  }
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { lines[metadataKey: key] }
    set { lines[metadataKey: key] = newValue }
  }

  func log(event: LogEvent) {
    var plain = event
    plain.message = "\(Self.escaped(event.message.description))"
    lines.log(event: plain)
    copies?.add(event.level.rawValue, plain.message.description)
  }

  /// Control characters as `\u{1B}`.
  static func escaped(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
      return text
    }
    return text.unicodeScalars.map { scalar in
      scalar.properties.generalCategory == .control
        ? "\\u{\(String(scalar.value, radix: 16, uppercase: true))}" : String(scalar)
    }.joined()
  }
}
