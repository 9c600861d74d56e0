/// JSON, to and from the values that scripts know. Knows no HTTP.
///
/// By hand because the nesting of what a peer sends must be bounded below what a thread's stack holds, and an
/// error must say where it is.

internal import LuaRuntime

struct JSONError: Error, Equatable, CustomStringConvertible {
  let description: String
}

enum JSON {
  /// - Throws: what is wrong, and at which octet
  static func value(_ octets: some Sequence<UInt8>) throws(JSONError) -> LuaValue {
    var reader = JSONReader(octets: Array(octets))
    let value = try reader.value(depth: 0)
    try reader.end()
    return value
  }

  /// Names in order, so that equal values have equal texts.
  static func text(_ value: LuaValue) -> [UInt8] {
    var out: [UInt8] = []
    write(value, to: &out)
    return out
  }

  private static func write(_ value: LuaValue, to out: inout [UInt8]) {
    switch value {
    case .null, .function: out += "null".utf8
    case .boolean(let flag): out += (flag ? "true" : "false").utf8
    case .integer(let number): out += "\(number)".utf8
    case .number(let number): out += (number.isFinite ? "\(number)" : "null").utf8
    case .text(let text): write(text, to: &out)
    case .bytes(let bytes): write(String(decoding: bytes, as: UTF8.self), to: &out)
    case .timestamp(let seconds): write(.table(["timestamp": .integer(seconds)]), to: &out)
    case .list(let items):
      out.append(UInt8(ascii: "["))
      for (index, item) in items.enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        write(item, to: &out)
      }
      out.append(UInt8(ascii: "]"))
    case .table(let fields):
      out.append(UInt8(ascii: "{"))
      for (index, field) in fields.sorted(by: { $0.key < $1.key }).enumerated() {
        if index > 0 { out.append(UInt8(ascii: ",")) }
        write(field.key, to: &out)
        out.append(UInt8(ascii: ":"))
        write(field.value, to: &out)
      }
      out.append(UInt8(ascii: "}"))
    }
  }

  private static func write(_ text: String, to out: inout [UInt8]) {
    out.append(UInt8(ascii: "\""))
    for octet in text.utf8 {
      switch octet {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), octet]
      case UInt8(ascii: "\n"): out += "\\n".utf8
      case 0..<0x20, 0x7F:
        let digits = String(octet, radix: 16)
        out += "\\u00\(digits.count == 1 ? "0" : "")\(digits)".utf8
      default: out.append(octet)
      }
    }
    out.append(UInt8(ascii: "\""))
  }
}

private struct JSONReader {
  let octets: [UInt8]
  var at = 0

  private var next: UInt8? { at < octets.count ? octets[at] : nil }

  private func wrong(_ expected: String) -> JSONError {
    let found = next.map { 0x21...0x7E ~= $0 ? "'\(Character(Unicode.Scalar($0)))'" : "octet \($0)" }
    return JSONError(description: "\(found ?? "the end") at octet \(at), expected \(expected)")
  }

  private mutating func skipSpace() {
    while let next, next == 0x20 || next == 0x0A || next == 0x0D || next == 0x09 { at += 1 }
  }

  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    skipSpace()
    guard next == UInt8(ascii: scalar) else { return false }
    at += 1
    return true
  }

  mutating func end() throws(JSONError) {
    skipSpace()
    if at < octets.count { throw wrong("the end") }
  }

  mutating func value(depth: Int) throws(JSONError) -> LuaValue {
    guard depth <= ManagementBounds.jsonNesting else {
      throw JSONError(description: "nested deeper than \(ManagementBounds.jsonNesting) at octet \(at)")
    }
    skipSpace()
    switch next {
    case UInt8(ascii: "{"): return .table(try fields(depth: depth))
    case UInt8(ascii: "["): return .list(try items(depth: depth))
    case UInt8(ascii: "\""): return .text(try string())
    case UInt8(ascii: "t"): return try word("true", .boolean(true))
    case UInt8(ascii: "f"): return try word("false", .boolean(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return try number()
    default: throw wrong("a value")
    }
  }

  private mutating func word(_ word: StaticString, _ value: LuaValue) throws(JSONError) -> LuaValue {
    for octet in word.description.utf8 {
      guard next == octet else { throw wrong("\(word)") }
      at += 1
    }
    return value
  }

  private mutating func fields(depth: Int) throws(JSONError) -> [String: LuaValue] {
    at += 1
    var fields: [String: LuaValue] = [:]
    if take("}") { return fields }
    repeat {
      skipSpace()
      guard next == UInt8(ascii: "\"") else { throw wrong("a name in quotes") }
      let name = try string()
      guard take(":") else { throw wrong("':'") }
      fields[name] = try value(depth: depth + 1)
    } while take(",")
    guard take("}") else { throw wrong("',' or '}'") }
    return fields
  }

  private mutating func items(depth: Int) throws(JSONError) -> [LuaValue] {
    at += 1
    var items: [LuaValue] = []
    if take("]") { return items }
    repeat { items.append(try value(depth: depth + 1)) } while take(",")
    guard take("]") else { throw wrong("',' or ']'") }
    return items
  }

  private mutating func string() throws(JSONError) -> String {
    let start = at
    at += 1
    var text: [UInt8] = []
    while true {
      guard let octet = next, octet >= 0x20 else { throw wrong("the rest of a string") }
      at += 1
      if octet == UInt8(ascii: "\"") { break }
      if octet != UInt8(ascii: "\\") {
        text.append(octet)
        continue
      }
      try escape(into: &text)
    }
    guard let string = String(validating: text, as: UTF8.self) else {
      throw JSONError(description: "the string at octet \(start) is no UTF-8")
    }
    return string
  }

  private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
    guard let octet = next else { throw wrong("the rest of a string") }
    at += 1
    switch octet {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(octet)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var code = try hexadecimal()
      if 0xD800..<0xDC00 ~= code, next == UInt8(ascii: "\\"), at + 1 < octets.count,
        octets[at + 1] == UInt8(ascii: "u")
      {
        at += 2
        let low = try hexadecimal()
        guard 0xDC00..<0xE000 ~= low else { throw wrong("the second half of a surrogate pair before it") }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw wrong("a surrogate pair before it") }
      text += Array(String(Character(scalar)).utf8)
    default:
      at -= 1
      throw wrong("an escape")
    }
  }

  private mutating func hexadecimal() throws(JSONError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let octet = next, let digit = Character(Unicode.Scalar(octet)).hexDigitValue else {
        throw wrong("four hexadecimal digits")
      }
      code = code << 4 | UInt32(digit)
      at += 1
    }
    return code
  }

  private mutating func digits() throws(JSONError) {
    let start = at
    while let next, UInt8(ascii: "0")...UInt8(ascii: "9") ~= next { at += 1 }
    if at == start { throw wrong("a digit") }
  }

  /// Integers of 64 bits stay integers.
  private mutating func number() throws(JSONError) -> LuaValue {
    let start = at
    var isInteger = true
    if next == UInt8(ascii: "-") { at += 1 }
    if next == UInt8(ascii: "0") { at += 1 } else { try digits() }
    if next == UInt8(ascii: ".") {
      isInteger = false
      at += 1
      try digits()
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      isInteger = false
      at += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { at += 1 }
      try digits()
    }
    let text = String(decoding: octets[start..<at], as: UTF8.self)
    if isInteger, let number = Int64(text) { return .integer(number) }
    guard let number = Double(text), number.isFinite else {
      throw JSONError(description: "the number at octet \(start) is too large")
    }
    return .number(number)
  }
}
