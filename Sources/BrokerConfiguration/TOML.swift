/// TOML 1.0 (https://toml.io/en/v1.0.0), with the line of each key. Knows no key by name.
///
/// By hand: toml++ ends the process by an assertion when a header begins with a wrong character (`[=]`), and
/// its Swift face does not tell where a key stands.

internal import LuaRuntime

struct TOMLError: Error, Equatable {
  let line: Int
  let text: String
}

struct TOMLEntry {
  let line: Int
  let value: TOMLValue
}

enum TOMLValue {
  case plain(LuaValue)
  /// A date or a time, as it is written.
  case date(String)
  case list([TOMLEntry])
  /// `[[name]]`.
  case tables(TOMLTables)
  case table(TOMLTable)
}

final class TOMLTables {
  fileprivate(set) var tables: [TOMLTable] = []
}

final class TOMLTable {
  fileprivate enum Origin {
    /// Only named on the way to another: `[a.b]` makes `a`.
    case implied
    case header, dotted, inline
  }

  fileprivate(set) var fields: [String: TOMLEntry] = [:]
  fileprivate var origin: Origin
  let line: Int

  fileprivate init(_ origin: Origin, line: Int) {
    self.origin = origin
    self.line = line
  }
}

enum TOML {
  static let nesting = 32

  /// - Throws: the first thing that is wrong
  static func parse(_ text: String) throws(TOMLError) -> TOMLTable {
    var reader = TOMLReader(text)
    return try reader.document()
  }

  /// As a key is written in a file.
  static func shown(_ key: [String]) -> String {
    key.map { part in
      !part.isEmpty && part.utf8.allSatisfy(isBare) ? part : "\"\(part)\""
    }.joined(separator: ".")
  }

  static func isBare(_ octet: UInt8) -> Bool {
    switch octet {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }
}

private struct TOMLReader {
  private let octets: [UInt8]
  private var at = 0
  private var line = 1
  private let root = TOMLTable(.header, line: 1)

  init(_ text: String) {
    octets = Array(text.utf8)
    // A byte order mark.
    if octets.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
  }

  // MARK: octets

  private var next: UInt8? { at < octets.count ? octets[at] : nil }

  private func isNext(_ text: StaticString) -> Bool { octets[at...].starts(with: text.description.utf8) }

  private mutating func take(_ text: StaticString) -> Bool {
    guard isNext(text) else { return false }
    at += text.utf8CodeUnitCount
    return true
  }

  private func wrong(_ expected: String) -> TOMLError {
    let found =
      switch next {
      case nil: "the end"
      case 0x0A?, 0x0D?: "the line's end"
      case let octet? where 0x21...0x7E ~= octet: "'\(Character(Unicode.Scalar(octet)))'"
      case let octet?: "octet \(octet)"
      }
    return TOMLError(line: line, text: "\(found), expected \(expected)")
  }

  private mutating func skipSpace() { while next == 0x20 || next == 0x09 { at += 1 } }

  private mutating func takeLineEnd() -> Bool {
    guard take("\n") || take("\r\n") else { return false }
    line += 1
    return true
  }

  private mutating func skipComment() throws(TOMLError) {
    guard next == UInt8(ascii: "#") else { return }
    while let octet = next, octet != 0x0A, !isNext("\r\n") {
      guard octet >= 0x20 && octet != 0x7F || octet == 0x09 else { throw wrong("no control character") }
      at += 1
    }
  }

  /// Spaces, comments and ends of lines.
  private mutating func skipBlank() throws(TOMLError) {
    repeat {
      skipSpace()
      try skipComment()
    } while takeLineEnd()
  }

  // MARK: lines

  mutating func document() throws(TOMLError) -> TOMLTable {
    var current = root
    while true {
      try skipBlank()
      guard let octet = next else { return root }
      if octet == UInt8(ascii: "[") { current = try header() } else { try pair(into: current, depth: 0) }
      skipSpace()
      try skipComment()
      guard next == nil || takeLineEnd() else { throw wrong("the line's end") }
    }
  }

  private mutating func header() throws(TOMLError) -> TOMLTable {
    let begun = line
    let isList = take("[[")
    if !isList { at += 1 }
    let key = try key()
    guard isList ? take("]]") : take("]") else { throw wrong(isList ? "']]'" : "']'") }
    var table = root
    for (index, part) in key.dropLast().enumerated() {
      table = try step(into: part, of: table, path: Array(key.prefix(index + 1)), line: begun)
    }
    let last = key[key.count - 1]
    let new = TOMLTable(.header, line: begun)
    switch (table.fields[last]?.value, isList) {
    case (nil, false): table.fields[last] = TOMLEntry(line: begun, value: .table(new))
    case (nil, true):
      let tables = TOMLTables()
      tables.tables.append(new)
      table.fields[last] = TOMLEntry(line: begun, value: .tables(tables))
    case (.table(let old)?, false) where old.origin == .implied:
      old.origin = .header
      return old
    case (.tables(let tables)?, true): tables.tables.append(new)
    default: throw taken(key, in: table, line: begun)
    }
    return new
  }

  /// To where a header leads on its way.
  private func step(into part: String, of table: TOMLTable, path: [String], line: Int)
    throws(TOMLError) -> TOMLTable
  {
    switch table.fields[part]?.value {
    case nil:
      let new = TOMLTable(.implied, line: line)
      table.fields[part] = TOMLEntry(line: line, value: .table(new))
      return new
    case .table(let next)? where next.origin != .inline: return next
    case .tables(let tables)?:
      if let next = tables.tables.last { return next }
    default: break
    }
    throw taken(path, in: table, line: line)
  }

  private func taken(_ key: [String], in table: TOMLTable, line: Int) -> TOMLError {
    let first = key.last.flatMap { table.fields[$0]?.line }.map { " on line \($0)" } ?? ""
    return TOMLError(line: line, text: "\(TOML.shown(key)) stands there already\(first)")
  }

  private mutating func pair(into table: TOMLTable, depth: Int) throws(TOMLError) {
    let begun = line
    let key = try key()
    guard take("=") else { throw wrong("'='") }
    skipSpace()
    var table = table
    for (index, part) in key.dropLast().enumerated() {
      switch table.fields[part]?.value {
      case nil:
        let new = TOMLTable(.dotted, line: begun)
        table.fields[part] = TOMLEntry(line: begun, value: .table(new))
        table = new
      case .table(let next)? where next.origin == .dotted: table = next
      default: throw taken(Array(key.prefix(index + 1)), in: table, line: begun)
      }
    }
    let last = key[key.count - 1]
    guard table.fields[last] == nil else { throw taken(key, in: table, line: begun) }
    table.fields[last] = TOMLEntry(line: begun, value: try value(depth: depth))
  }

  /// Dotted; spaces around are taken, too. Never empty.
  private mutating func key() throws(TOMLError) -> [String] {
    var parts: [String] = []
    repeat {
      skipSpace()
      switch next {
      case UInt8(ascii: "\""): parts.append(try basicString())
      case UInt8(ascii: "'"): parts.append(try literalString())
      default:
        let start = at
        while let octet = next, TOML.isBare(octet) { at += 1 }
        guard at > start else { throw wrong("a key") }
        parts.append(String(decoding: octets[start..<at], as: UTF8.self))
      }
      skipSpace()
      guard parts.count <= TOML.nesting else {
        throw TOMLError(line: line, text: "nested deeper than \(TOML.nesting)")
      }
    } while take(".")
    return parts
  }

  // MARK: values

  private mutating func value(depth: Int) throws(TOMLError) -> TOMLValue {
    guard depth < TOML.nesting else {
      throw TOMLError(line: line, text: "nested deeper than \(TOML.nesting)")
    }
    switch next {
    case UInt8(ascii: "\""):
      return .plain(.text(isNext("\"\"\"") ? try longString("\"") : try basicString()))
    case UInt8(ascii: "'"): return .plain(.text(isNext("'''") ? try longString("'") : try literalString()))
    case UInt8(ascii: "["): return .list(try items(depth: depth))
    case UInt8(ascii: "{"): return .table(try inlineTable(depth: depth))
    default: return try word()
    }
  }

  private mutating func items(depth: Int) throws(TOMLError) -> [TOMLEntry] {
    at += 1
    var items: [TOMLEntry] = []
    while true {
      try skipBlank()
      if take("]") { return items }
      let begun = line
      items.append(TOMLEntry(line: begun, value: try value(depth: depth + 1)))
      try skipBlank()
      if !take(",") {
        guard next == UInt8(ascii: "]") else { throw wrong("',' or ']'") }
      }
    }
  }

  private mutating func inlineTable(depth: Int) throws(TOMLError) -> TOMLTable {
    at += 1
    let table = TOMLTable(.inline, line: line)
    skipSpace()
    if take("}") { return table }
    repeat {
      try pair(into: table, depth: depth + 1)
      skipSpace()
    } while take(",")
    guard take("}") else { throw wrong("',' or '}'") }
    Self.close(table)
    return table
  }

  /// What dotted keys made in an inline table cannot be extended any more either.
  private static func close(_ table: TOMLTable) {
    for entry in table.fields.values {
      if case .table(let inner) = entry.value, inner.origin == .dotted {
        inner.origin = .inline
        close(inner)
      }
    }
  }

  /// true, false, a number, a date or a time.
  private mutating func word() throws(TOMLError) -> TOMLValue {
    let start = at
    func isPart(_ octet: UInt8) -> Bool {
      TOML.isBare(octet) || octet == UInt8(ascii: "+") || octet == UInt8(ascii: ".")
        || octet == UInt8(ascii: ":")
    }
    while let octet = next, isPart(octet) { at += 1 }
    guard at > start else { throw wrong("a value") }
    var word = String(decoding: octets[start..<at], as: UTF8.self)
    if word.wholeMatch(of: /\d{4}-\d\d-\d\d/) != nil, octets[at...].starts(with: [0x20]),
      octets[(at + 1)...].first.map({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }) ?? false
    {
      at += 1
      while let octet = next, isPart(octet) { at += 1 }
      word = String(decoding: octets[start..<at], as: UTF8.self)
    }
    if let value = Self.number(word) { return .plain(value) }
    switch word {
    case "true": return .plain(.boolean(true))
    case "false": return .plain(.boolean(false))
    default: break
    }
    if word.prefixMatch(of: /\d{4}-\d\d-\d\d|\d\d:\d\d/) != nil { return .date(word) }
    throw TOMLError(line: line, text: "'\(word.prefix(40))' is no value; strings stand in quotes")
  }

  private static func number(_ word: String) -> LuaValue? {
    let digits = word.replacing("_", with: "")
    for (pattern, radix) in [
      (/0x[0-9A-Fa-f](_?[0-9A-Fa-f])*/, 16), (/0o[0-7](_?[0-7])*/, 8), (/0b[01](_?[01])*/, 2),
    ] where word.wholeMatch(of: pattern) != nil {
      return Int64(digits.dropFirst(2), radix: radix).map { .integer($0) }
    }
    if word.wholeMatch(of: /[+-]?(0|[1-9](_?\d)*)/) != nil { return Int64(digits).map { .integer($0) } }
    if word.wholeMatch(of: /[+-]?(0|[1-9](_?\d)*)(\.\d(_?\d)*)?([eE][+-]?\d(_?\d)*)?/) != nil {
      return Double(digits).map { .number($0) }
    }
    switch word {
    case "inf", "+inf": return .number(.infinity)
    case "-inf": return .number(-.infinity)
    case "nan", "+nan", "-nan": return .number(.nan)
    default: return nil
    }
  }

  // MARK: strings

  private func isText(_ octet: UInt8) -> Bool { octet >= 0x20 && octet != 0x7F || octet == 0x09 }

  private mutating func literalString() throws(TOMLError) -> String {
    at += 1
    let start = at
    while let octet = next, octet != UInt8(ascii: "'") {
      guard isText(octet) else { throw wrong("the rest of a string") }
      at += 1
    }
    guard take("'") else { throw wrong("the rest of a string") }
    return String(decoding: octets[start..<at - 1], as: UTF8.self)
  }

  private mutating func basicString() throws(TOMLError) -> String {
    at += 1
    var text: [UInt8] = []
    while let octet = next, octet != UInt8(ascii: "\"") {
      guard isText(octet) else { throw wrong("the rest of a string") }
      at += 1
      if octet == UInt8(ascii: "\\") { try escape(into: &text) } else { text.append(octet) }
    }
    guard take("\"") else { throw wrong("the rest of a string") }
    return String(decoding: text, as: UTF8.self)
  }

  /// Of several lines.
  private mutating func longString(_ quote: Unicode.Scalar) throws(TOMLError) -> String {
    let quote = UInt8(ascii: quote)
    at += 3
    _ = takeLineEnd()
    var text: [UInt8] = []
    while let octet = next {
      if octet == quote {
        // Up to two quotes may stand right before the closing three.
        var count = 0
        while count < 5, next == quote {
          at += 1
          count += 1
        }
        text += Array(repeating: quote, count: count < 3 ? count : count - 3)
        if count >= 3 { return String(decoding: text, as: UTF8.self) }
      } else if takeLineEnd() {
        text.append(0x0A)
      } else if octet == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
        at += 1
        if !joinLines() { try escape(into: &text) }
      } else {
        guard isText(octet) else { throw wrong("the rest of a string") }
        at += 1
        text.append(octet)
      }
    }
    throw wrong("the rest of a string")
  }

  /// A backslash at the end of a line takes all space up to the next text.
  private mutating func joinLines() -> Bool {
    let start = at
    skipSpace()
    guard takeLineEnd() else {
      at = start
      return false
    }
    repeat { skipSpace() } while takeLineEnd()
    return true
  }

  private mutating func escape(into text: inout [UInt8]) throws(TOMLError) {
    guard let octet = next else { throw wrong("the rest of a string") }
    at += 1
    switch octet {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): text.append(octet)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "u"), UInt8(ascii: "U"):
      var code: UInt32 = 0
      for _ in 0..<(octet == UInt8(ascii: "u") ? 4 : 8) {
        guard let digit = next.flatMap({ Character(Unicode.Scalar($0)).hexDigitValue }) else {
          throw wrong("a hexadecimal digit")
        }
        code = code << 4 | UInt32(digit)
        at += 1
      }
      guard let scalar = Unicode.Scalar(code) else {
        throw TOMLError(line: line, text: "\\\(Character(Unicode.Scalar(octet))) names no character")
      }
      text += Array(String(Character(scalar)).utf8)
    default:
      at -= 1
      throw wrong("an escape")
    }
  }
}
