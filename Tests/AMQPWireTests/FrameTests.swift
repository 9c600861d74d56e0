/// Frames and content headers: sizes, ends, and octets that are too few.
import AMQPWire
import Testing

@Suite struct FrameTests {
  @Test func `the types and bounds are the specification's`() {
    #expect(FrameType.method.rawValue == 1 && FrameType.header.rawValue == 2)
    #expect(FrameType.body.rawValue == 3 && FrameType.heartbeat.rawValue == 8)
    #expect(WireLimits.frameEnd == 206 && WireLimits.frameMinimum == 8192)
    #expect(WireLimits.frameHeaderSize + 1 == WireLimits.frameOverhead)
  }

  @Test(arguments: 0..<7)
  func `fewer than seven octets are no frame header`(_ count: Int) {
    #expect(FrameHeader(octets: [UInt8](repeating: 1, count: count)) == nil)
  }

  @Test func `a frame header is seven octets, whatever follows`() throws {
    for rest in [[], [1, 2, 3]] as [[UInt8]] {
      let header = try #require(FrameHeader(octets: [8, 0xAB, 0xCD, 0x01, 0x02, 0x03, 0x04] + rest))
      #expect(header.type == 8 && header.channel == 0xABCD && header.size == 0x0102_0304)
      #expect(header.length == 0x0102_0304 + 8)
    }
  }

  @Test func `the largest size there is does not overflow the length`() throws {
    let header = try #require(FrameHeader(octets: [255, 255, 255, 255, 255, 255, 255]))
    #expect(header.size == 4_294_967_295 && header.length == 4_294_967_303)
  }

  @Test(arguments: Grammar.methods)
  func `a method's frame says its own size and ends with 206`(_ method: GrammarMethod) throws {
    let type = try method.type
    var chance = SplitMix64(seed: 7)
    for _ in 0..<5 {
      let octets = type.init(values: chance.values(of: method)).frame(channel: 513)
      let header = try #require(FrameHeader(octets: octets))
      #expect(header.type == FrameType.method.rawValue && header.channel == 513)
      #expect(header.length == octets.count && octets.last == WireLimits.frameEnd)
    }
  }

  @Test(arguments: 0..<12)
  func `fewer than twelve octets are no content header`(_ count: Int) {
    #expect(ContentHeader(octets: [UInt8](repeating: 1, count: count)) == nil)
  }

  @Test func `a content header is class, weight and body size`() throws {
    let header = try #require(
      ContentHeader(octets: [0, 60, 1, 2, 255, 255, 255, 255, 255, 255, 255, 254, 9]))
    #expect(header.classID == 60 && header.weight == 0x0102 && header.bodySize == .max - 1)
    #expect(WireLimits.contentHeaderSize == 12)
  }

  @Test(arguments: 0..<8)
  func `headers are read at any alignment`(_ offset: Int) {
    let frame = BasicAck { $0.deliveryTag = 1 }.frame(channel: 1)
    let content: [UInt8] = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]
    ([UInt8](repeating: 9, count: offset) + frame).withUnsafeBytes { octets in
      let header = FrameHeader(UnsafeRawBufferPointer(rebasing: octets[offset...]))
      #expect(header?.length == frame.count)
    }
    ([UInt8](repeating: 9, count: offset) + content).withUnsafeBytes { octets in
      let header = ContentHeader(UnsafeRawBufferPointer(rebasing: octets[offset...]))
      #expect(header?.bodySize == 5)
    }
  }
}
