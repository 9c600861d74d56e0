/// Field tables: every type, the errata, the bounds, and octets that end too early.
import AMQPWire
import Testing

/// The octets of a table with one field named "k", whose value's type and octets are given.
private func table(_ value: [UInt8]) -> [UInt8] {
  [0, 0, 0, UInt8(2 + value.count), 1, UInt8(ascii: "k")] + value
}

private let types = Array("tbBsuIilfdDSxTVFA".utf8)

/// One field of each type, tables and arrays filled.
private let everyType: FieldTable = [
  "t": true, "b": .int8(-128), "B": .uint8(255), "s": .int16(-32768), "u": .uint16(65535),
  "I": .int32(.min), "i": .uint32(.max), "l": .int64(.min), "f": .float(1.5), "d": .double(-0.1),
  "D": .decimal(scale: 2, value: 314), "S": "text", "x": .bytes(ByteString([0, 255])),
  "T": .timestamp(1_709_208_000), "V": .void, "F": .table(["in": .array(["out", .void])]),
  "A": .array([.boolean(false), .table(["x": 1]), .array([])]),
]

@Suite struct FieldTableTests {
  @Test(arguments: types)
  func `values of each type survive the way to the table codec and back`(_ type: UInt8) throws {
    var chance = SplitMix64(seed: UInt64(type))
    for _ in 0..<100 {
      let field = TableField(name: chance.octets(upTo: 255), item: chance.item(of: type, depth: 0))
      let written = octets(of: FieldTable([field]))
      #expect(written == TableCodec.encode(table: [field]))
      #expect(TableCodec.decode(table: written) == [field])
      #expect(try readTable(written).fields.map { TableField($0) } == [field])
      try skipTable(written)
    }
  }

  @Test func `a table with every type comes back equal, and with the octets of the table codec`() throws {
    let written = octets(of: everyType)
    #expect(written == TableCodec.encode(table: everyType.fields.map { TableField($0) }))
    #expect(try readTable(written) == everyType)
    for (name, value) in everyType.fields { #expect(name == ByteString([value.typeOctet])) }
  }

  @Test func `random tables, nested, come back equal`() throws {
    var chance = SplitMix64(seed: 5)
    for _ in 0..<300 {
      let fields = chance.table(depth: 0)
      let written = octets(of: FieldTable(fields))
      #expect(written == TableCodec.encode(table: fields))
      #expect(try readTable(written).fields.map { TableField($0) } == fields)
    }
  }

  @Test(
    arguments: [
      ("t\0", .boolean(false)), ("t\u{1}", true), ("t\u{7F}", true),
      ("s\0\u{1}", .int16(1)), ("u\0\u{1}", .uint16(1)),
    ] as [(String, FieldValue)])
  func `a value is what its octets say`(_ octets: String, _ value: FieldValue) throws {
    #expect(try readTable(table(Array(octets.utf8)))["k"] == value)
  }

  @Test func `s is a signed short and not a short string`() throws {
    #expect(try readTable(table([UInt8(ascii: "s"), 0xFF, 0xFE]))["k"] == .int16(-2))
    #expect(throws: ProtocolError.self) { try readTable(table([UInt8(ascii: "s"), 1])) }
  }

  @Test(arguments: ["l", "L"] as [Unicode.Scalar])
  func `l and L are both signed, and are written as l`(_ letter: Unicode.Scalar) throws {
    let ones = [UInt8](repeating: 0xFF, count: 8)
    let read = try readTable(table([UInt8(ascii: letter)] + ones))
    #expect(read["k"] == .int64(-1))
    #expect(octets(of: read) == table([UInt8(ascii: "l")] + ones))
  }

  @Test func `b is signed and B is not, I is signed and i is not`() throws {
    #expect(try readTable(table([UInt8(ascii: "b"), 0xFF]))["k"] == .int8(-1))
    #expect(try readTable(table([UInt8(ascii: "B"), 0xFF]))["k"] == .uint8(255))
    #expect(try readTable(table([UInt8(ascii: "I"), 0xFF, 0xFF, 0xFF, 0xFF]))["k"] == .int32(-1))
    #expect(try readTable(table([UInt8(ascii: "i"), 0xFF, 0xFF, 0xFF, 0xFF]))["k"] == .uint32(.max))
  }

  @Test func `floats that are no number keep their bits`() throws {
    for bits in [0x7FF8_0000_0000_0001, 0xFFF0_0000_0000_0000, 0x8000_0000_0000_0000] as [UInt64] {
      let written = octets(of: ["k": .double(Double(bitPattern: bits))])
      guard case .double(let read) = try readTable(written)["k"] else {
        Issue.record("not a double")
        continue
      }
      #expect(read.bitPattern == bits)
    }
  }

  @Test func `every unknown type is a frame error that shows it`() {
    for type in (0...255).map({ UInt8($0) }) where Grammar.fieldTypes[type] == nil {
      let error = ProtocolError(.frameError, "field type \(type) is none of tbBsuIilLfdDSxTFVA")
      #expect(throws: error) { try readTable(table([type, 0, 0, 0, 0])) }
      #expect(throws: error) { try skipTable(table([type, 0, 0, 0, 0])) }
    }
  }

  @Test func `a name that stands twice is kept twice, and the first counts`() throws {
    let twice: FieldTable = ["a": 1, "b": 2, "a": 3]
    let read = try readTable(octets(of: twice))
    #expect(read.fields.map(\.name) == ["a", "b", "a"])
    #expect(read["a"] == 1)
    #expect(read == twice)
  }

  @Test func `the order of fields is kept and counts for equality`() throws {
    let names = (0..<50).map { ByteString("\(($0 * 37) % 50)") }
    var table = FieldTable()
    for name in names { table.append(name, .string(name)) }
    #expect(try readTable(octets(of: table)).fields.map(\.name) == names)
    #expect(["a": 1, "b": 2] as FieldTable != ["b": 2, "a": 1])
  }

  @Test func `setting by name replaces, appends and takes out`() {
    var table: FieldTable = ["a": 1, "b": 2]
    table["a"] = 3
    table["c"] = 4
    table["b"] = nil
    table["none"] = nil
    #expect(table == ["a": 3, "c": 4])
    #expect(table.count == 2 && !table.isEmpty)
  }

  @Test func `a name may be empty or of 255 octets that are not UTF-8`() throws {
    let table = FieldTable([
      TableField(name: [], item: TypedValue(.void)),
      TableField(name: [UInt8](repeating: 0xFF, count: 255), item: TypedValue(.void)),
    ])
    #expect(try readTable(octets(of: table)) == table)
  }

  @Test func `equal tables hash alike`() {
    #expect(Set([everyType, everyType, [:]]).count == 2)
  }
}

/// The bounds of tables, and octets that lie about their lengths.
@Suite struct FieldTableBoundTests {
  @Test func `a table that ends early is a frame error at every octet`() {
    let written = octets(of: everyType)
    for count in 0..<written.count {
      let cut = Array(written.prefix(count))
      #expect(throws: ProtocolError.self) { try readTable(cut) }
      #expect(throws: ProtocolError.self) { try skipTable(cut) }
    }
  }

  @Test func `a table cut at any octet, its length put right, is judged as by the table codec`() {
    let fields = octets(of: everyType).dropFirst(4)
    var accepted = 0
    for count in 0..<fields.count {
      let cut = [0, 0, UInt8(count >> 8), UInt8(count & 255)] + fields.prefix(count)
      let read = try? readTable(cut)
      #expect(read?.fields.map { TableField($0) } == TableCodec.decode(table: cut))
      #expect((read != nil) == ((try? skipTable(cut)) != nil))
      if read != nil { accepted += 1 }
    }
    #expect(accepted == everyType.count, "only the cuts between two fields are tables")
  }

  @Test(
    arguments: ["S", "x", "F", "A"] as [Unicode.Scalar],
    [1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF] as [UInt32])
  func `a length beyond the end is a frame error`(_ letter: Unicode.Scalar, _ length: UInt32) {
    let octets = table([UInt8(ascii: letter)] + (0..<4).reversed().map { UInt8(length >> (8 * $0) & 255) })
    #expect(throws: ProtocolError.self) { try readTable(octets) }
    #expect(throws: ProtocolError.self) { try skipTable(octets) }
  }

  @Test func `a value may not reach over the end of the table or array around it`() {
    // An array of 1 octet that holds a byte of 2, and behind it the octet that would complete it.
    let octets = table([UInt8(ascii: "A"), 0, 0, 0, 1, UInt8(ascii: "b"), 1])
    #expect(throws: ProtocolError.self) { try readTable(octets) }
    #expect(throws: ProtocolError.self) { try skipTable(octets) }
  }

  @Test(arguments: ["F", "A", "AF"])
  func `values nest to a depth of 64 and no deeper`(_ containers: String) throws {
    let limit = WireLimits.tableDepth
    #expect(limit == TableCodec.depthLimit)
    let letters = Array(containers)
    func nested(_ depth: Int) -> FieldTable {
      var value = FieldValue.void
      for level in 0..<(depth - 1) {
        value = letters[level % letters.count] == "F" ? .table(["k": value]) : .array([value])
      }
      return ["k": value]
    }
    let deepest = octets(of: nested(limit))
    #expect(try readTable(deepest) == nested(limit))
    try skipTable(deepest)
    #expect(TableCodec.decode(table: deepest) != nil)

    let tooDeep = octets(of: nested(limit + 1))
    let error = ProtocolError(.frameError, "a table nested deeper than \(limit)")
    #expect(throws: error) { try readTable(tooDeep) }
    #expect(throws: error) { try skipTable(tooDeep) }
    #expect(TableCodec.decode(table: tooDeep) == nil)
  }

  @Test func `nesting a hundred thousand deep is refused and exhausts no stack`() {
    // Each array says that all the rest is in it.
    let depth = 100_000
    var octets: [UInt8] = [1, UInt8(ascii: "k")]
    for level in 0..<depth {
      let rest = 5 * (depth - 1 - level)
      octets += [UInt8(ascii: "A")] + (0..<4).reversed().map { UInt8(rest >> (8 * $0) & 255) }
    }
    octets = (0..<4).reversed().map { UInt8(octets.count >> (8 * $0) & 255) } + octets
    #expect(throws: ProtocolError.self) { try readTable(octets) }
    #expect(throws: ProtocolError.self) { try skipTable(octets) }
  }
}
