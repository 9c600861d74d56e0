/// What a script may ask of its surroundings, and how its questions get there. Knows no broker.

internal import CLuaGuard

package protocol LuaHost: AnyObject {
  func log(_ level: LuaLogLevel, _ text: String)

  /// Publishes after the message under way. fields: a field table's content, whose names and types are
  /// checked; `null` takes a property away. copiesMessage: they change a copy of that message.
  func publish(_ fields: LuaBytes, copiesMessage: Bool) -> LuaPublishRefusal?

  /// A number above zero for a series, asked once for each that an interpreter uses; nil when there are too
  /// many.
  func metricSeries(_ kind: LuaMetric, _ name: String, labels: [String: String]) -> UInt64?
  /// A counter's increment, a gauge's value or what a histogram is to count.
  func metricAdd(_ series: UInt64, _ value: Double)

  /// Whether the script's time is the host's; asked once, when the interpreter is made.
  var hasClock: Bool { get }
  /// Since 1970.
  func wallNanoseconds() -> Int64
  /// Since some moment.
  func monotonicNanoseconds() -> Int64
}

extension LuaHost {
  package func publish(_ fields: LuaBytes, copiesMessage: Bool) -> LuaPublishRefusal? {
    LuaPublishRefusal("publishing is not possible here")
  }
  package func metricSeries(_ kind: LuaMetric, _ name: String, labels: [String: String]) -> UInt64? { nil }
  package func metricAdd(_ series: UInt64, _ value: Double) {}
  package var hasClock: Bool { false }
  package func wallNanoseconds() -> Int64 { 0 }
  package func monotonicNanoseconds() -> Int64 { 0 }
}

package enum LuaLogLevel: Int32, Sendable { case debug, info, warning, error }

package enum LuaMetric: UInt32, Sendable {
  case counter = 1
  case gauge, histogram
}

/// The script gets nil and the reason.
package struct LuaPublishRefusal: Error, Sendable, Equatable {
  package var reason: String
  package init(_ reason: String) { self.reason = reason }
}

/// What the C side holds: it must not keep the host alive, and finds nothing when the host is gone.
final class HostBox {
  weak var host: (any LuaHost)?
  init(_ host: any LuaHost) { self.host = host }

  static func at(_ context: UnsafeMutableRawPointer?) -> (any LuaHost)? {
    guard let context else { return nil }
    return Unmanaged<HostBox>.fromOpaque(context).takeUnretainedValue().host
  }

  func fill(_ callbacks: inout LGHost) {
    callbacks.context = Unmanaged.passUnretained(self).toOpaque()
    callbacks.log = { context, level, text in
      HostBox.at(context)?.log(
        LuaLogLevel(rawValue: level) ?? .info, String(decoding: text.buffer, as: UTF8.self))
    }
    callbacks.publish = { context, fields, copies, reason, capacity in
      guard let host = HostBox.at(context) else { return false }
      guard let refusal = host.publish(fields, copiesMessage: copies) else { return true }
      if let reason, capacity > 0 {
        let text = refusal.reason.utf8.prefix(capacity - 1)
        for (at, octet) in text.enumerated() { reason[at] = CChar(bitPattern: octet) }
        reason[text.count] = 0
      }
      return false
    }
    callbacks.metric_series = { context, kind, name, labels in
      guard let host = HostBox.at(context), let kind = LuaMetric(rawValue: kind.rawValue) else { return 0 }
      let fields = LuaValueCodec.table(labels.buffer) ?? [:]
      let texts = fields.mapValues { value in
        switch value {
        case .text(let text): text
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        default: ""
        }
      }
      return host.metricSeries(kind, String(decoding: name.buffer, as: UTF8.self), labels: texts) ?? 0
    }
    callbacks.metric_add = { HostBox.at($0)?.metricAdd($1, $2) }
    guard host?.hasClock == true else { return }
    callbacks.wall_nanoseconds = { HostBox.at($0)?.wallNanoseconds() ?? 0 }
    callbacks.monotonic_nanoseconds = { HostBox.at($0)?.monotonicNanoseconds() ?? 0 }
  }
}
