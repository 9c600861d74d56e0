import Foundation

/// A value of JSON, as the broker's API speaks it. Knows no command.
enum JSON: Codable, Equatable {
  case null
  case flag(Bool)
  case integer(Int64)
  case number(Double)
  case text(String)
  case list([JSON])
  case object([String: JSON])

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let flag = try? container.decode(Bool.self) {
      self = .flag(flag)
    } else if let number = try? container.decode(Int64.self) {
      self = .integer(number)
    } else if let number = try? container.decode(Double.self) {
      self = .number(number)
    } else if let text = try? container.decode(String.self) {
      self = .text(text)
    } else if let items = try? container.decode([JSON].self) {
      self = .list(items)
    } else {
      self = .object(try container.decode([String: JSON].self))
    }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .flag(let flag): try container.encode(flag)
    case .integer(let number): try container.encode(number)
    case .number(let number): try container.encode(number)
    case .text(let text): try container.encode(text)
    case .list(let items): try container.encode(items)
    case .object(let fields): try container.encode(fields)
    }
  }

  /// - Throws: a sentence if it is none
  init(parsing octets: Data, _ what: String) throws {
    do { self = try JSONDecoder().decode(JSON.self, from: octets) } catch {
      throw Failure(.badData, "\(what) is no JSON: \(String(decoding: octets.prefix(200), as: UTF8.self))")
    }
  }

  func encoded(pretty: Bool = false) -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting =
      pretty
      ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      : [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(self)) ?? Data()
  }

  var compact: String { String(decoding: encoded(), as: UTF8.self) }

  subscript(_ name: String) -> JSON? { if case .object(let fields) = self { fields[name] } else { nil } }

  var items: [JSON] { if case .list(let items) = self { items } else { [] } }
  var text: String? { if case .text(let text) = self { text } else { nil } }

  /// As a table's cell shows it.
  var shown: String {
    switch self {
    case .null: ""
    case .flag(let flag): "\(flag)"
    case .integer(let number): "\(number)"
    case .number(let number): "\(number)"
    case .text(let text): text
    // As Erlang shows a list of words.
    case .list(let items): "[\(items.map(\.shown).joined(separator: ", "))]"
    case .object: compact
    }
  }

  /// As rabbitmqctl shows arguments: [{"x-max-priority",5}].
  var inErlang: String {
    switch self {
    case .object(let fields):
      "["
        + fields.sorted { $0.key < $1.key }.map { "{\"\($0.key)\",\($0.value.inErlang)}" }.joined(
          separator: ",") + "]"
    case .list(let items): "[" + items.map(\.inErlang).joined(separator: ",") + "]"
    case .null: "undefined"
    case .flag, .integer, .number: shown
    case .text(let text): "\"\(text)\""
    }
  }
}

/// Why a command was not done, and with which exit code it ends (sysexits.h, as rabbitmqctl uses it).
struct Failure: Error {
  enum Code: Int32 {
    case usage = 64
    case badData = 65
    case noUser = 67
    case unavailable = 69
    case software = 70
  }

  let code: Code
  let text: String

  init(_ code: Code, _ text: String) {
    self.code = code
    self.text = text
  }
}
