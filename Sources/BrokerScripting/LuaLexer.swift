/// Lua 5.4's words, with their lines (manual, 3.1). Knows no grammar.
///
/// For texts that the interpreter has compiled already: what is malformed ends the words, it is not told.

struct LuaToken: Equatable {
  enum Kind: Equatable {
    case name(String)
    case keyword(String)
    /// "==", "...", "::", …
    case symbol(String)
    case string, number
  }

  let kind: Kind
  let line: Int
}

struct LuaLexer {
  private static let keywords: Set<String> = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local",
    "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
  ]
  /// The longest come first.
  private static let symbols = [
    "...", "<<", ">>", "//", "==", "~=", "<=", ">=", "::", "..", "+", "-", "*", "/", "%", "^", "#", "&", "~",
    "|",
    "<", ">", "=", "(", ")", "{", "}", "[", "]", ";", ":", ",", ".",
  ].map { Array($0.utf8) }

  private let octets: [UInt8]
  private var at = 0
  private var line = 1

  static func tokens(_ source: String) -> [LuaToken] {
    var lexer = LuaLexer(octets: Array(source.utf8))
    var tokens: [LuaToken] = []
    while let token = lexer.next() { tokens.append(token) }
    return tokens
  }

  private init(octets: [UInt8]) {
    self.octets = octets
    // A first line that begins with # is for the shell.
    if octets.first == UInt8(ascii: "#") { skipLine() }
  }

  private func octet(_ ahead: Int = 0) -> UInt8? {
    at + ahead < octets.count ? octets[at + ahead] : nil
  }

  private func isNext(_ scalar: Unicode.Scalar, _ ahead: Int = 0) -> Bool {
    octet(ahead) == UInt8(ascii: scalar)
  }

  private mutating func skipLine() {
    while let octet = octet(), octet != 0x0A, octet != 0x0D { at += 1 }
  }

  /// `\r\n` and `\n\r` are one line's end.
  private mutating func endLine() {
    let first = octet()
    at += 1
    if let second = octet(), second == 0x0A || second == 0x0D, second != first { at += 1 }
    line += 1
  }

  private mutating func next() -> LuaToken? {
    while let octet = octet() {
      switch octet {
      case 0x0A, 0x0D: endLine()
      case 0x20, 0x09, 0x0B, 0x0C: at += 1
      case UInt8(ascii: "-") where isNext("-", 1):
        at += 2
        if !(isNext("[") && longBracket()) { skipLine() }
      default: return word(octet)
      }
    }
    return nil
  }

  private mutating func word(_ octet: UInt8) -> LuaToken? {
    let start = line
    switch octet {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"):
      let name = name()
      return LuaToken(kind: Self.keywords.contains(name) ? .keyword(name) : .name(name), line: start)
    case UInt8(ascii: "0")...UInt8(ascii: "9"):
      number()
      return LuaToken(kind: .number, line: start)
    case UInt8(ascii: ".") where self.octet(1).map(Self.isDigit) ?? false:
      number()
      return LuaToken(kind: .number, line: start)
    case UInt8(ascii: "\""), UInt8(ascii: "'"):
      string(octet)
      return LuaToken(kind: .string, line: start)
    case UInt8(ascii: "[") where longBracket():
      return LuaToken(kind: .string, line: start)
    default:
      guard let symbol = Self.symbols.first(where: { octets[at...].starts(with: $0) }) else { return nil }
      at += symbol.count
      return LuaToken(kind: .symbol(String(decoding: symbol, as: UTF8.self)), line: start)
    }
  }

  private static func isDigit(_ octet: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= octet }

  private static func isWord(_ octet: UInt8) -> Bool {
    switch octet {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
    default: isDigit(octet)
    }
  }

  private mutating func name() -> String {
    let start = at
    while let octet = octet(), Self.isWord(octet) { at += 1 }
    return String(decoding: octets[start..<at], as: UTF8.self)
  }

  /// As Lua reads it: all that may belong to a number, with signs after an exponent's mark.
  private mutating func number() {
    let isHexadecimal = isNext("0") && (isNext("x", 1) || isNext("X", 1))
    if isHexadecimal { at += 2 }
    while let octet = octet() {
      let isMark =
        isHexadecimal ? octet | 0x20 == UInt8(ascii: "p") : octet | 0x20 == UInt8(ascii: "e")
      if isMark {
        at += 1
        if isNext("+") || isNext("-") { at += 1 }
      } else if Self.isWord(octet) || octet == UInt8(ascii: ".") {
        at += 1
      } else {
        return
      }
    }
  }

  private mutating func string(_ quote: UInt8) {
    at += 1
    while let octet = octet() {
      switch octet {
      case quote:
        at += 1
        return
      case 0x0A, 0x0D: return endLine()
      case UInt8(ascii: "\\"):
        at += 1
        switch self.octet() {
        case 0x0A, 0x0D: endLine()
        case UInt8(ascii: "z"):
          at += 1
          skipSpace()
        case nil: return
        default: at += 1
        }
      default: at += 1
      }
    }
  }

  private mutating func skipSpace() {
    while let octet = octet() {
      switch octet {
      case 0x0A, 0x0D: endLine()
      case 0x20, 0x09, 0x0B, 0x0C: at += 1
      default: return
      }
    }
  }

  /// `[[…]]`, `[==[…]==]`.
  /// - Returns: whether there was one; if not, nothing is taken
  private mutating func longBracket() -> Bool {
    var level = 0
    while isNext("=", 1 + level) { level += 1 }
    guard isNext("[", 1 + level) else { return false }
    at += level + 2
    while let octet = octet() {
      switch octet {
      case 0x0A, 0x0D: endLine()
      case UInt8(ascii: "]") where isNext("]", 1 + level) && (0..<level).allSatisfy({ isNext("=", 1 + $0) }):
        at += level + 2
        return true
      default: at += 1
      }
    }
    return true
  }
}
