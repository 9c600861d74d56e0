/// The fields of a request's body, by type; what is wrong is said with the field, its value and what was
/// expected. Knows no path.

internal import BrokerScripting
internal import Foundation
internal import LuaRuntime
internal import NIOCore

struct Fields {
  let fields: [String: LuaValue]

  subscript(_ name: String) -> LuaValue? { fields[name] }

  init(fields: [String: LuaValue]) { self.fields = fields }

  init(_ body: ByteBuffer) throws(Refusal) {
    let value: LuaValue
    do { value = try JSON.value(body.readableBytesView) } catch {
      throw .badRequest("body: no JSON: \(error)")
    }
    guard case .table(let fields) = value else {
      throw .badRequest("body: \(value.shown), expected an object")
    }
    self.fields = fields
  }

  func refuseUnknown(except known: [String]) throws(Refusal) {
    guard let name = fields.keys.sorted().first(where: { !known.contains($0) }) else { return }
    let hint =
      Spelling.nearest(to: name, among: known).map { "did you mean '\($0)'?" }
      ?? "known are \(known.joined(separator: ", "))"
    throw .badRequest("\(name.prefix(100)): unknown field; \(hint)")
  }

  func missing(_ name: String, _ expected: String) -> Refusal {
    .badRequest("\(name): missing, expected \(expected)")
  }

  private static func wrong(_ name: String, _ value: LuaValue, _ expected: String) -> Refusal {
    .badRequest("\(name): \(value.shown), expected \(expected)")
  }

  func integer(_ name: String, in range: ClosedRange<Int64>) throws(Refusal) -> Int64? {
    guard let value = fields[name] else { return nil }
    // Command lines send numbers as text.
    guard let number = value.asInteger ?? value.text.flatMap({ Int64($0) }), range.contains(number) else {
      throw Self.wrong(name, value, "an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// A name in AMQP.
  func name(_ name: String) throws(Refusal) -> String? {
    guard let value = fields[name] else { return nil }
    guard case .text(let text) = value, text.utf8.count <= ManagementBounds.nameOctets else {
      throw Self.wrong(name, value, "a string of at most \(ManagementBounds.nameOctets) octets")
    }
    return text
  }

  func table(_ name: String) throws(Refusal) -> [String: LuaValue]? {
    guard let value = fields[name] else { return nil }
    guard case .table(let table) = value else { throw Self.wrong(name, value, "an object") }
    return table
  }

  /// As in RabbitMQ's `/api/exchanges/…/publish`.
  func payload() throws(Refusal) -> [UInt8] {
    let payload = fields["payload"] ?? .text("")
    guard case .text(let text) = payload else { throw Self.wrong("payload", payload, "a string") }
    switch fields["payload_encoding"] {
    case nil, .text("string")?: return Array(text.utf8)
    case .text("base64")?:
      guard let octets = Data(base64Encoded: text) else { throw Self.wrong("payload", payload, "base64") }
      return Array(octets)
    case let value?: throw Self.wrong("payload_encoding", value, "'string' or 'base64'")
    }
  }
}

/// A message's properties as JSON has them, under the names that scripts use.
enum Properties {
  private static let texts = [
    "content_type", "content_encoding", "correlation_id", "reply_to", "expiration", "message_id", "type",
    "user_id", "app_id", "cluster_id",
  ]
  private static let numbers: [String: ClosedRange<Int64>] = [
    "delivery_mode": 0...255, "priority": 0...255, "timestamp": 0...Int64.max,
  ]

  static func checked(_ properties: [String: LuaValue]) throws(Refusal) -> [String: LuaValue] {
    for (name, value) in properties.sorted(by: { $0.key < $1.key }) {
      let place = "properties.\(name.prefix(100))"
      if texts.contains(name) {
        if case .text(let text) = value, text.utf8.count <= ManagementBounds.nameOctets { continue }
        throw .badRequest(
          "\(place): \(value.shown), expected a string of at most \(ManagementBounds.nameOctets) octets")
      } else if let range = numbers[name] {
        if case .integer(let number) = value, range.contains(number) { continue }
        throw .badRequest(
          "\(place): \(value.shown), expected an integer from \(range.lowerBound) to \(range.upperBound)")
      }
      let known = texts + numbers.keys.sorted()
      let hint =
        name == "headers"
        ? "headers stand beside properties"
        : Spelling.nearest(to: name, among: known).map { "did you mean '\($0)'?" }
          ?? "known are \(known.joined(separator: ", "))"
      throw .badRequest("\(place): unknown property; \(hint)")
    }
    return properties
  }
}
