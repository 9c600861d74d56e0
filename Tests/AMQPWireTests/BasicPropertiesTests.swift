/// The properties of class `basic`, read whole and indexed, against the table codec.
import AMQPWire
import Testing

extension BasicProperties {
  /// The properties as the table codec has them, keyed by the grammar's flags.
  var tableValues: [UInt16: TableValue] {
    let inOrder: [TableValue?] = [
      string(contentType), string(contentEncoding), headers.map { TableValue($0) }, number(deliveryMode),
      number(priority), string(correlationID), string(replyTo), string(expiration), string(messageID),
      number(timestamp), string(type), string(userID), string(appID), string(clusterID),
    ]
    var values: [UInt16: TableValue] = [:]
    for (property, value) in zip(Grammar.properties, inOrder) { values[property.flag] = value }
    return values
  }

  private func string(_ value: ByteString?) -> TableValue? { value.map { .octets($0.bytes) } }
  private func number(_ value: (some BinaryInteger)?) -> TableValue? { value.map { .number(Int128($0)) } }
}

/// Whether an index of `octets` says the same as the properties read whole from them.
func agree(_ index: PropertyIndex, with properties: BasicProperties, in octets: [UInt8]) -> Bool {
  func string(_ place: PropertyIndex.Place, _ flag: PropertyFlags) -> ByteString? {
    index.flags.contains(flag) ? ByteString(Array(octets[place.range])) : nil
  }
  // The written form is compared, since a float that is no number is not equal to itself.
  var headers: [UInt8]?
  if index.flags.contains(.headers) {
    headers = octets[index.headers.range].withUnsafeBytes { bytes in
      (try? FieldReader.fields(of: bytes)).map { AMQPWireTests.octets(of: $0) }
    }
  }
  return index.flags.rawValue == UInt16(octets[0]) << 8 | UInt16(octets[1])
    && index.deliveryMode == properties.deliveryMode ?? 0
    && index.priority == properties.priority ?? 0
    && headers == properties.headers.map { AMQPWireTests.octets(of: $0) }
    && string(index.replyTo, .replyTo) == properties.replyTo
    && string(index.expiration, .expiration) == properties.expiration
    && string(index.userID, .userID) == properties.userID
}

@Suite struct BasicPropertiesTests {
  /// Our flags beside the grammar's names.
  static let flags: [(String, PropertyFlags)] = [
    ("content-type", .contentType), ("content-encoding", .contentEncoding), ("headers", .headers),
    ("delivery-mode", .deliveryMode), ("priority", .priority), ("correlation-id", .correlationID),
    ("reply-to", .replyTo), ("expiration", .expiration), ("message-id", .messageID),
    ("timestamp", .timestamp), ("type", .type), ("user-id", .userID), ("app-id", .appID),
    ("cluster-id", .clusterID),
  ]

  @Test func `names, order and flags are the grammar's`() {
    let names = Mirror(reflecting: BasicProperties()).children.map { $0.label ?? "" }
    #expect(names == Grammar.properties.map(\.field.swiftName))
    #expect(Self.flags.map(\.0) == Grammar.properties.map(\.field.name))
    #expect(Self.flags.map(\.1.rawValue) == Grammar.properties.map(\.flag))
  }

  @Test(arguments: 0..<16)
  func `each of the 16384 sets of properties is read, indexed and written alike`(_ block: Int) throws {
    var chance = SplitMix64(seed: UInt64(block))
    // One table for all: that every table is read as it should be is tested with the tables.
    let headers = chance.table(depth: 0)
    for set in (block << 10)..<((block + 1) << 10) {
      let flags = UInt16(set << 2)
      var values: [UInt16: TableValue] = [:]
      for property in Grammar.properties where flags & property.flag != 0 {
        let isTable = property.field.shape == .table
        values[property.flag] = isTable ? .table(headers) : chance.value(of: property.field.shape)
      }
      let octets = TableCodec.encode(properties: values)
      let properties = try BasicProperties(octets: octets)
      let isSame = properties.tableValues == values && properties.octets == octets
      let isIndexed = agree(try PropertyIndex(octets: octets), with: properties, in: octets)
      // One expectation a set would take longer than all the rest.
      if !isSame || !isIndexed { Issue.record("flags \(flags), block \(block)") }
    }
  }

  @Test func `no properties are two octets`() throws {
    #expect(BasicProperties().octets == [0, 0])
    #expect(try BasicProperties(octets: [0, 0]) == BasicProperties())
    #expect(try PropertyIndex(octets: [0, 0]).flags.isEmpty)
  }

  @Test func `an index of absent properties holds zeroes and empty places`() throws {
    let index = try PropertyIndex(octets: [0x80, 0, 1, 65])
    #expect(index.flags == .contentType && index.deliveryMode == 0 && index.priority == 0)
    for place in [index.headers, index.replyTo, index.expiration, index.userID] {
      #expect(place.range.isEmpty)
    }
  }

  @Test(arguments: [1, 3] as [UInt8])
  func `flags that announce more flags are refused`(_ low: UInt8) {
    for octets in [[0, low], [0x10, low, 2], [0xFF, 0xFC | low]] as [[UInt8]] {
      let word = UInt16(octets[0]) << 8 | UInt16(octets[1])
      expectRefusal(of: octets, "property flags \(word) announce a second word, which class basic lacks")
      #expect(TableCodec.decode(properties: octets) == nil)
    }
  }

  @Test func `the flag that is nobody's is ignored, as in RabbitMQ`() throws {
    #expect(try BasicProperties(octets: [0x10, 2, 1]).octets == [0x10, 0, 1])
    #expect(try PropertyIndex(octets: [0x10, 2, 1]).deliveryMode == 1)
    #expect(try PropertyIndex(octets: [0, 2]).headers.range.isEmpty)
  }

  @Test func `properties that end early are refused at every octet`() {
    var chance = SplitMix64(seed: 6)
    var values: [UInt16: TableValue] = [:]
    for property in Grammar.properties { values[property.flag] = chance.value(of: property.field.shape) }
    let octets = TableCodec.encode(properties: values)
    for count in 0..<octets.count {
      let cut = Array(octets.prefix(count))
      let whole = #expect(throws: ProtocolError.self) { try BasicProperties(octets: cut) }
      expectRefusal(of: cut, whole?.text ?? "")
    }
  }

  @Test(arguments: [[0, 0, 9], [0x10, 0, 2, 0], [0x80, 0, 0, 0]] as [[UInt8]])
  func `an octet behind the last property is refused`(_ octets: [UInt8]) {
    expectRefusal(of: octets, "1 octets too many after the last field")
  }

  @Test func `a string property need not be UTF-8, as in RabbitMQ`() throws {
    #expect(try BasicProperties(octets: [0x80, 0, 1, 0xFF]).contentType == ByteString([0xFF]))
  }

  @Test func `headers nested too deep are refused by the index too`() {
    var value = FieldValue.void
    for _ in 0..<WireLimits.tableDepth { value = .array([value]) }
    var properties = BasicProperties()
    properties.headers = ["k": value]
    expectRefusal(of: properties.octets, "a table nested deeper than \(WireLimits.tableDepth)")
  }

  /// Read whole, properties are a field like others; in a content header they are a syntax error (502).
  private func expectRefusal(of octets: [UInt8], _ text: String) {
    #expect(throws: ProtocolError(.frameError, text)) { try BasicProperties(octets: octets) }
    #expect(throws: ProtocolError(.syntaxError, "cannot decode properties: \(text)")) {
      try PropertyIndex(octets: octets)
    }
  }
}
