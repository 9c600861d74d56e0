/// Chance with a seed: the same seed gives the same values on every machine.

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// A number from 0 to `bound` - 1. Plain arithmetic, since the standard library's way may change.
  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

  mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }

  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }
}

/// Values for fields, with the edges of each type more often than chance alone would give them.
extension SplitMix64 {
  mutating func value(of shape: GrammarField.Shape) -> TableValue {
    switch shape {
    case .bit: .number(Int128(below(2)))
    case .octet: .number(number(width: 1, signed: false))
    case .short: .number(number(width: 2, signed: false))
    case .long: .number(number(width: 4, signed: false))
    case .longlong, .timestamp: .number(number(width: 8, signed: false))
    case .shortstr: .octets(utf8(upTo: 255))
    case .longstr: .octets(octets(upTo: 1000))
    case .table: .table(table(depth: 0))
    }
  }

  mutating func values(of method: GrammarMethod) -> [TableValue] { method.fields.map { value(of: $0.shape) } }

  mutating func number(width: Int, signed: Bool) -> Int128 {
    let count: Int128 = 1 << (8 * Int128(width))
    let lowest = signed ? -count / 2 : 0
    switch below(4) {
    case 0: return pick([0, 1, lowest, lowest + count - 1])
    case 1: return Int128(below(100))
    default: return lowest + Int128(next()) % count
    }
  }

  mutating func octets(upTo limit: Int) -> [UInt8] {
    let count = oneIn(8) ? pick([0, limit]) : below(min(limit, 24))
    return (0..<count).map { _ in UInt8(below(256)) }
  }

  mutating func utf8(upTo limit: Int) -> [UInt8] {
    let count = oneIn(8) ? pick([0, limit]) : below(min(limit, 24))
    var text: [UInt8] = []
    while text.count < count { text += Array(pick(["a", "Z", "0", ".", "\0", "é", "ж", "本", "😀"]).utf8) }
    // What sticks out is a part of a character, or a whole one: octets in its place keep the length.
    return text.count <= count ? text : Array(repeating: UInt8(ascii: "x"), count: count)
  }

  mutating func table(depth: Int) -> [TableField] {
    (0..<below(depth == 0 ? 6 : 3)).map { _ in TableField(name: octets(upTo: 255), item: item(depth: depth)) }
  }

  private mutating func item(depth: Int) -> TypedValue {
    let letters = depth < 3 ? "tbBsuIilfdDSxTVFA" : "tbBsuIilfdDSxTV"
    return item(of: pick(Array(letters.utf8)), depth: depth)
  }

  /// A value of the type that the octet names.
  mutating func item(of type: UInt8, depth: Int) -> TypedValue {
    guard let grammar = Grammar.fieldTypes[type] else { preconditionFailure("no type \(type)") }
    let value: TableValue =
      switch grammar.shape {
      case .flag: .number(Int128(below(2)))
      case .signed: .number(number(width: grammar.width, signed: true))
      case .unsigned: .number(number(width: grammar.width, signed: false))
      case .decimal: .decimal(scale: UInt8(below(256)), value: UInt32(truncatingIfNeeded: next()))
      case .octets: .octets(octets(upTo: 300))
      case .table: .table(table(depth: depth + 1))
      case .array: .array((0..<below(4)).map { _ in item(depth: depth + 1) })
      case .void: .void
      }
    return TypedValue(type: type, value: value)
  }
}
