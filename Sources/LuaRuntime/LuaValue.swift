/// A value that crosses between Swift and a script, and its bytes: those of an AMQP field value.

package enum LuaValue: Equatable, Sendable {
  case null
  case boolean(Bool)
  case integer(Int64)
  case number(Double)
  case text(String)
  /// A string that is not UTF-8.
  case bytes([UInt8])
  case list([LuaValue])
  case table([String: LuaValue])
  case timestamp(Int64)
  /// Only in manifests: there is a function here.
  case function

  package subscript(_ name: String) -> LuaValue? {
    if case .table(let fields) = self { fields[name] } else { nil }
  }
}

package enum LuaValueCodec {
  /// Nesting that a decoder follows; the guard never writes deeper.
  static let nesting = 110

  // MARK: Encoding

  package static func tableContent(_ fields: [String: LuaValue]) -> [UInt8] {
    var out: [UInt8] = []
    for (name, value) in fields {
      let key = Array(name.utf8.prefix(255))
      out.append(UInt8(key.count))
      out += key
      encode(value, into: &out)
    }
    return out
  }

  package static func arrayContent(_ items: [LuaValue]) -> [UInt8] {
    var out: [UInt8] = []
    for item in items { encode(item, into: &out) }
    return out
  }

  static func encode(_ value: LuaValue, into out: inout [UInt8]) {
    switch value {
    case .null: out.append(UInt8(ascii: "V"))
    case .boolean(let flag): out += [UInt8(ascii: "t"), flag ? 1 : 0]
    case .integer(let number): put("l", UInt64(bitPattern: number), 8, &out)
    case .number(let number): put("d", number.bitPattern, 8, &out)
    case .timestamp(let seconds): put("T", UInt64(bitPattern: seconds), 8, &out)
    case .text(let text): put("S", Array(text.utf8), &out)
    case .bytes(let bytes): put("S", bytes, &out)
    case .list(let items): put("A", arrayContent(items), &out)
    case .table(let fields): put("F", tableContent(fields), &out)
    case .function: put("x", Array("function".utf8), &out)
    }
  }

  private static func put(_ type: Unicode.Scalar, _ bits: UInt64, _ count: Int, _ out: inout [UInt8]) {
    out.append(UInt8(ascii: type))
    for shift in stride(from: (count - 1) * 8, through: 0, by: -8) {
      out.append(UInt8(truncatingIfNeeded: bits >> UInt64(shift)))
    }
  }

  private static func put(_ type: Unicode.Scalar, _ bytes: [UInt8], _ out: inout [UInt8]) {
    put(type, UInt64(bytes.count), 4, &out)
    out += bytes
  }

  // MARK: Decoding; nil for what is malformed

  package static func table(_ bytes: UnsafeRawBufferPointer) -> [String: LuaValue]? {
    var reader = Reader(bytes: bytes)
    guard case .table(let fields)? = reader.pairs(until: bytes.count, depth: 0) else { return nil }
    return fields
  }

  package static func value(_ bytes: UnsafeRawBufferPointer) -> LuaValue? {
    var reader = Reader(bytes: bytes)
    return reader.value(depth: 0)
  }

  private struct Reader {
    let bytes: UnsafeRawBufferPointer
    var at = 0

    mutating func number(_ count: Int) -> UInt64? {
      guard bytes.count - at >= count else { return nil }
      var value: UInt64 = 0
      for _ in 0..<count {
        value = value << 8 | UInt64(bytes[at])
        at += 1
      }
      return value
    }

    mutating func block(_ count: Int) -> UnsafeRawBufferPointer? {
      guard bytes.count - at >= count else { return nil }
      defer { at += count }
      return UnsafeRawBufferPointer(rebasing: bytes[at..<at + count])
    }

    mutating func end() -> Int? {
      guard let count = number(4), bytes.count - at >= Int(count) else { return nil }
      return at + Int(count)
    }

    mutating func value(depth: Int) -> LuaValue? {
      guard depth < nesting, let type = number(1) else { return nil }
      switch Unicode.Scalar(UInt8(type)) {
      case "V": return .null
      case "t": return number(1).map { .boolean($0 != 0) }
      case "l": return number(8).map { .integer(Int64(bitPattern: $0)) }
      case "T": return number(8).map { .timestamp(Int64(bitPattern: $0)) }
      case "d": return number(8).map { .number(Double(bitPattern: $0)) }
      case "x": return number(4).flatMap { block(Int($0)) }.map { _ in .function }
      case "S":
        guard let text = number(4).flatMap({ block(Int($0)) }) else { return nil }
        return String(validating: text, as: UTF8.self).map { .text($0) } ?? .bytes(Array(text))
      case "A":
        guard let end = end() else { return nil }
        var items: [LuaValue] = []
        while at < end {
          guard let item = value(depth: depth + 1) else { return nil }
          items.append(item)
        }
        return .list(items)
      case "F": return end().flatMap { pairs(until: $0, depth: depth + 1) }
      default: return nil
      }
    }

    mutating func pairs(until end: Int, depth: Int) -> LuaValue? {
      var fields: [String: LuaValue] = [:]
      while at < end {
        guard let key = number(1).flatMap({ block(Int($0)) }), let value = value(depth: depth) else {
          return nil
        }
        fields[String(decoding: key, as: UTF8.self)] = value
      }
      return .table(fields)
    }
  }
}
