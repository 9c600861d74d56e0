/// A table within a plugin's table, and where it stands: its fields by type, and errors that name them. Knows
/// no field by name.

package import LuaRuntime

package struct ManifestTable {
  package let fields: [String: LuaValue]
  /// "filters.publish"; empty for the plugin's own table.
  package let path: String

  package var names: [String] { fields.keys.sorted() }

  package init(_ fields: [String: LuaValue], at path: String) {
    self.fields = fields
    self.path = path
  }

  init(_ value: LuaValue, at path: String) throws(LuaError) {
    guard case .table(let fields) = value else {
      throw LuaError(.refused, "\(path) is \(value.kind), expected a table with named fields")
    }
    self.init(fields, at: path)
  }

  func place(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

  func refuseUnknown(except known: [String]) throws(LuaError) {
    guard let name = names.first(where: { !known.contains($0) }) else { return }
    let hint =
      Spelling.nearest(to: name, among: known).map { "did you mean '\($0)'?" }
      ?? "known are \(known.joined(separator: ", "))"
    throw LuaError(.refused, "unknown field '\(place(name))': \(hint)")
  }

  /// - Returns: whether there is one
  func function(_ name: String) throws(LuaError) -> Bool {
    guard let value = fields[name] else { return false }
    guard value == .function else { throw wrong(name, value, "a function") }
    return true
  }

  func need(function name: String) throws(LuaError) {
    guard try function(name) else {
      throw LuaError(.refused, "\(place(name)) is needed and must be a function")
    }
  }

  func table(_ name: String) throws(LuaError) -> ManifestTable? {
    guard let value = fields[name] else { return nil }
    return try ManifestTable(value, at: place(name))
  }

  func text(_ name: String) throws(LuaError) -> String? {
    guard let value = fields[name] else { return nil }
    guard case .text(let text) = value else { throw wrong(name, value, "a string") }
    return text
  }

  func flag(_ name: String) throws(LuaError) -> Bool? {
    guard let value = fields[name] else { return nil }
    guard case .boolean(let flag) = value else { throw wrong(name, value, "true or false") }
    return flag
  }

  func number(_ name: String, in range: ClosedRange<Double>? = nil) throws(LuaError) -> Double? {
    guard let value = fields[name] else { return nil }
    let expected = range.map { "a number from \(shown($0.lowerBound)) to \(shown($0.upperBound))" }
    guard let number = value.asNumber, number.isFinite, range?.contains(number) ?? true else {
      throw wrong(name, value, expected ?? "a number")
    }
    return number
  }

  func integer(_ name: String, in range: ClosedRange<Int64>) throws(LuaError) -> Int64? {
    guard let value = fields[name] else { return nil }
    guard let number = value.asInteger, range.contains(number) else {
      throw wrong(name, value, "an integer from \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  /// A string, or a list of strings.
  func texts(_ name: String) throws(LuaError) -> [String]? {
    guard let value = fields[name] else { return nil }
    switch value {
    case .text(let text): return [text]
    case .table([:]): return []  // Lua's empty list is an empty table
    case .list(let items):
      let texts = items.compactMap { if case .text(let text) = $0 { text } else { nil } }
      if texts.count == items.count { return texts }
    default: break
    }
    throw wrong(name, value, "a string or a list of strings")
  }

  func word<Word: RawRepresentable & CaseIterable>(_ name: String) throws(LuaError) -> Word?
  where Word.RawValue == String {
    guard let value = fields[name] else { return nil }
    if case .text(let text) = value, let word = Word(rawValue: text) { return word }
    throw wrong(name, value, Word.allCases.map { "'\($0.rawValue)'" }.joined(separator: " or "))
  }

  func wrong(_ name: String, _ value: LuaValue, _ expected: String) -> LuaError {
    LuaError(.refused, "\(place(name)) is \(value.shown), expected \(expected)")
  }
}

// MARK: values in texts

extension LuaValue {
  /// "a string", "a number", …
  package var kind: String {
    switch self {
    case .null: "null"
    case .boolean: "a boolean"
    case .integer, .number: "a number"
    case .text, .bytes: "a string"
    case .list: "a list"
    case .table, .timestamp: "a table"
    case .function: "a function"
    }
  }

  /// Short values as they are, others by their kind.
  package var shown: String {
    switch self {
    case .boolean(let flag): "\(flag)"
    case .integer(let number): "\(number)"
    case .number(let number): BrokerScripting.shown(number)
    case .text(let text) where text.count <= 40: "'\(text)'"
    case .text(let text): "'\(text.prefix(40))…'"
    default: kind
    }
  }

  package var asNumber: Double? {
    switch self {
    case .integer(let number): Double(number)
    case .number(let number): number
    default: nil
    }
  }

  /// 3 and 3.0.
  package var asInteger: Int64? {
    switch self {
    case .integer(let number): number
    case .number(let number): Int64(exactly: number)
    default: nil
    }
  }
}

/// 3, not 3.0.
package func shown(_ number: Double) -> String { Int64(exactly: number).map { "\($0)" } ?? "\(number)" }

package enum Spelling {
  /// Longer words are not compared: the work is the product of both lengths.
  static let longest = 64

  /// The word that was probably meant: at most a third of its letters differ.
  package static func nearest(to word: String, among known: [String]) -> String? {
    guard word.count <= longest else { return nil }
    let ranked = known.map { ($0, distance(Array(word.lowercased()), Array($0))) }
    guard let best = ranked.min(by: { $0.1 < $1.1 }), best.1 <= max(1, best.0.count / 3) else { return nil }
    return best.0
  }

  /// Letters to change, add, remove, or swap with their neighbour (counted as one).
  static func distance(_ left: [Character], _ right: [Character]) -> Int {
    var before: [Int] = []
    var last = Array(0...right.count)
    for (row, letter) in left.enumerated() {
      var current = [row + 1]
      for (column, other) in right.enumerated() {
        var cost = min(last[column] + (letter == other ? 0 : 1), last[column + 1] + 1, current[column] + 1)
        if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
          cost = min(cost, before[column - 1] + 1)
        }
        current.append(cost)
      }
      before = last
      last = current
    }
    return last[right.count]
  }
}
