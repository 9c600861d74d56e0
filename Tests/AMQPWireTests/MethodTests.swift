/// Every method of AMQPWire against the published grammar and the table codec.
import AMQPWire
import Testing

let methodsByID: [MethodID: any Method.Type] = Dictionary(MethodID.all.map { ($0.id, $0) }) { first, _ in
  first
}

extension GrammarMethod {
  var id: MethodID { MethodID(classID, methodID) }

  /// The struct of AMQPWire with this method's number.
  var type: any Method.Type {
    get throws { try #require(methodsByID[id], "\(name) has no struct") }
  }
}

extension Method {
  /// A method with these values in its fields, in order.
  init(values: [TableValue]) {
    self.init()
    var filler = FieldFiller(values)
    do { try visit(&filler) } catch { preconditionFailure("a filler does not fail") }
  }

  static var shapes: [GrammarField.Shape] {
    var filler = FieldFiller([])
    var method = Self()
    do { try method.visit(&filler) } catch { preconditionFailure("a filler does not fail") }
    return filler.shapes
  }
}

@Suite struct MethodTests {
  @Test func `the grammar has 66 methods in 8 classes, and 4 are followed by content`() {
    #expect(Grammar.methods.count == 66)
    #expect(Set(Grammar.methods.map(\.classID)) == [10, 20, 30, 40, 50, 60, 85, 90])
    #expect(
      Grammar.methods.filter(\.hasContent).map(\.name)
        == ["basic.publish", "basic.return", "basic.deliver", "basic.get-ok"])
  }

  @Test func `every method of the grammar has a struct and there is no other`() {
    #expect(MethodID.all.count == Grammar.methods.count)
    #expect(Set(MethodID.all.map { $0.id }) == Set(Grammar.methods.map(\.id)))
  }

  @Test(arguments: Grammar.methods)
  func `the struct has the grammar's name, field names, order and types`(_ method: GrammarMethod) throws {
    let type = try method.type
    #expect("\(type)" == method.swiftName)
    #expect(fields(of: type.init()).map(\.name) == method.fields.map(\.swiftName))
    #expect(type.shapes == method.fields.map(\.shape))
    #expect(type.hasContent == method.hasContent)
  }

  @Test(arguments: Grammar.methods)
  func `what the table codec writes is read field by field`(_ method: GrammarMethod) throws {
    let type = try method.type
    var chance = SplitMix64(seed: 1 << 32 | UInt64(method.classID) << 16 | UInt64(method.methodID))
    for _ in 0..<60 {
      let values = chance.values(of: method)
      let payload = TableCodec.encode(method, values)
      let read = try type.init(octets: Array(payload.dropFirst(4)))
      #expect(fields(of: read).map(\.value) == values)
    }
  }

  @Test(arguments: Grammar.methods)
  func `what is written is read by the table codec field by field`(_ method: GrammarMethod) throws {
    let type = try method.type
    var chance = SplitMix64(seed: 2 << 32 | UInt64(method.classID) << 16 | UInt64(method.methodID))
    for _ in 0..<60 {
      let values = chance.values(of: method)
      let channel = UInt16(chance.below(65536))
      let octets = type.init(values: values).frame(channel: channel)
      let payload = Array(octets.dropFirst(7).dropLast())
      #expect(octets == TableCodec.frame(type: 1, channel: channel, payload: payload))
      #expect(payload.prefix(4) == TableCodec.encode(method, values).prefix(4))
      #expect(TableCodec.decode(method, arguments: Array(payload.dropFirst(4))) == values)
    }
  }

  @Test(arguments: Grammar.methods)
  func `arguments that end early are a frame error that names the method`(_ method: GrammarMethod) throws {
    let type = try method.type
    var chance = SplitMix64(seed: 3 << 32 | UInt64(method.classID) << 16 | UInt64(method.methodID))
    for _ in 0..<4 {
      let arguments = TableCodec.encode(method, chance.values(of: method)).dropFirst(4)
      for count in 0..<arguments.count {
        let error = #expect(throws: ProtocolError.self) {
          _ = try type.init(octets: Array(arguments.prefix(count)))
        }
        #expect(error?.code == .frameError && error?.text.hasPrefix("cannot decode \(type): ") == true)
      }
    }
  }

  @Test(arguments: Grammar.methods)
  func `an octet too many is a frame error`(_ method: GrammarMethod) throws {
    let type = try method.type
    var chance = SplitMix64(seed: 4)
    let arguments = TableCodec.encode(method, chance.values(of: method)).dropFirst(4) + [0]
    #expect(
      throws: ProtocolError(.frameError, "cannot decode \(type): 1 octets too many after the last field")
    ) {
      _ = try type.init(octets: Array(arguments))
    }
  }

  @Test(
    arguments: [
      [0xFF], [0x80], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82],
    ] as [[UInt8]])
  func `a short string of a method that is not UTF-8 is a frame error`(_ octets: [UInt8]) {
    #expect(!isUTF8(octets))
    #expect(throws: ProtocolError(.frameError, "Malformed UTF-8 in shortstr")) {
      _ = try BasicCancelOk(octets: [UInt8(octets.count)] + octets)
    }
  }

  @Test func `a long string may hold any octets`() throws {
    let all = (0...255).map { UInt8($0) }
    #expect(try ConnectionSecureOk(octets: [0, 0, 1, 0] + all).response.bytes == all)
  }

  @Test func `bits behind the last bit field are ignored`() throws {
    let method = try BasicNack(octets: [0, 0, 0, 0, 0, 0, 0, 1, 0b1111_1110])
    #expect(!method.multiple && method.requeue)
  }

  @Test func `a ninth bit begins a new octet`() throws {
    var writer = FieldWriter()
    var flags = [true, false, false, false, false, false, false, true, true, false]
    for index in flags.indices { writer.bit(&flags[index]) }
    #expect(writer.bytes == [0b1000_0001, 0b0000_0001])
    try writer.bytes.withUnsafeBytes { octets in
      var reader = FieldReader(octets)
      for flag in flags { #expect(try reader.bit() == flag) }
      try reader.expectEnd()
    }
  }

  @Test func `bits on both sides of another field do not share an octet`() throws {
    var writer = FieldWriter()
    var flag = true
    writer.bit(&flag)
    writer.put(7 as UInt8)
    writer.bit(&flag)
    #expect(writer.bytes == [1, 7, 1])
    try writer.bytes.withUnsafeBytes { octets in
      var reader = FieldReader(octets)
      #expect(try reader.bit())
      #expect(try reader.octet() == 7)
      #expect(try reader.bit())
      try reader.expectEnd()
    }
  }

  @Test func `a frame is appended behind what is there`() {
    var octets: [UInt8] = [9, 9]
    TxSelect().appendFrame(channel: 0x0102, to: &octets)
    #expect(octets == [9, 9, 1, 1, 2, 0, 0, 0, 4, 0, 90, 0, 10, 0xCE])
  }
}
