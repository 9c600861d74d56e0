/// Octets that pika, py-amqp and pamqp made, read and written here. make-goldens.py made goldens.txt.
import AMQPWire
import Foundation
import Testing

struct Golden: Sendable {
  /// "pika queue-declare", without the version.
  let name: String
  let kind: String
  let octets: [UInt8]

  init?(_ line: Substring) {
    let words = line.split(separator: " ")
    guard words.count == 4, !line.hasPrefix("#") else { return nil }
    name = "\(words[0].prefix { $0 != "=" }) \(words[2])"
    kind = String(words[1])
    let digits = Array(words[3])
    octets = stride(from: 0, to: digits.count, by: 2).compactMap {
      UInt8(String(digits[$0..<$0 + 2]), radix: 16)
    }
  }

  static let all: [Golden] = {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
    guard let text = try? String(contentsOf: folder.appending(path: "goldens.txt"), encoding: .utf8) else {
      preconditionFailure("goldens.txt does not stand beside \(#filePath)")
    }
    return text.split(separator: "\n").compactMap { Golden($0) }
  }()

  static func named(_ name: String) throws -> Golden {
    try #require(all.first { $0.name == name }, "goldens.txt has no \(name)")
  }
}

private let goldenProperties: [String: BasicProperties] = [
  "pika none": BasicProperties(),
  "pika persistent": properties { $0.deliveryMode = 2 },
  "pika rpc": properties {
    $0.replyTo = "amq.gen-1"
    $0.correlationID = "c-42"
  },
  "pika all": properties {
    $0.contentType = "text/plain"
    $0.contentEncoding = "utf-8"
    $0.headers = ["a": .int32(1), "b": .table(["c": .array([true, .void])])]
    $0.deliveryMode = 1
    $0.priority = 9
    $0.correlationID = "corr"
    $0.replyTo = "back"
    $0.expiration = "60000"
    $0.messageID = "m-1"
    $0.timestamp = noon
    $0.type = "kind"
    $0.userID = "guest"
    $0.appID = "app"
    $0.clusterID = "cl"
  },
  "pamqp none": BasicProperties(),
  "pamqp all": properties {
    $0.contentType = "application/json"
    $0.contentEncoding = "gzip"
    $0.headers = ["x-delay": .int32(-40000), "x-retry": .int8(3)]
    $0.deliveryMode = 2
    $0.priority = 255
    $0.correlationID = "corr"
    $0.replyTo = "back"
    $0.expiration = "0"
    $0.messageID = "id"
    $0.timestamp = noon
    $0.type = "kind"
    $0.userID = "guest"
    $0.appID = "app"
  },
]

private let goldenTables: [String: FieldTable] = [
  "pika empty": [:],
  "pika integers": [
    "max": .int32(.max), "min": .int32(.min), "long": .int64(.max), "negative": .int64(.min),
  ],
  "pika scalars": [
    "text": "grün", "octets": .bytes(ByteString([0, 255])), "yes": true, "no": false, "nothing": .void,
    "at": .timestamp(noon), "price": .decimal(scale: 2, value: 314),
  ],
  "pika nested": [
    "outer": .table([
      "inner": .table(["list": .array([.int32(1), "two", .array([true]), .table(["four": .int32(4)])])])
    ]),
    "empty": .array([]),
  ],
  "amqp every-type": [
    "text": "t", "octets": "\u{1}", "float": .double(-0.5), "int": .int32(-7), "long": .int64(1 << 62),
    "negative": .int64(-1 << 62),
    // A decimal's value is unsigned by the specification and in RabbitMQ; Python's libraries write a sign.
    "price": .decimal(scale: 1, value: UInt32(bitPattern: -15)),
    "at": .timestamp(noon), "table": .table(["x": true]), "array": .array([false, .void, "s"]),
  ],
  "amqp int32-minimum": ["n": .int64(-1 << 31)],
  "pamqp integers": [
    "a": .int8(.min), "b": .int16(.min), "c": .uint16(.max), "d": .int32(.min), "e": .uint32(.max),
    "f": .int64(.min), "g": .int64(.max),
  ],
  "pamqp others": [
    "a": true, "b": .float(1.5), "c": .decimal(scale: 3, value: .max), "d": .bytes(ByteString([0, 254])),
    "e": .void, "f": .timestamp(noon), "g": .array([.int8(1), .array([.int8(2), .int16(300)])]),
    "h": .table(["i": "text"]),
  ],
]

private struct GoldenContent: Sendable {
  let channel: UInt16
  let bodySize: UInt64
  let properties: BasicProperties
}

private let goldenContentHeaders: [String: GoldenContent] = [
  "pika content-header": GoldenContent(
    channel: 3, bodySize: 1 << 32 + 5, properties: properties { $0.deliveryMode = 2 }),
  "amqp publish-header": GoldenContent(
    channel: 9, bodySize: 6,
    properties: properties {
      $0.contentType = "text/plain"
      $0.contentEncoding = "utf-8"
      $0.headers = ["k": .array([.int32(1), .int32(2)])]
      $0.deliveryMode = 2
    }),
  "pamqp content-header": GoldenContent(
    channel: 2, bodySize: 10, properties: properties { $0.appID = "me" }),
]

private let goldenBodies = ["pika content-body": "hello", "amqp publish-body": "hällo"]
private let goldenHeartbeats: Set = ["pika heartbeat", "pamqp heartbeat"]

/// Fields that came as `L`; we write `l`, which means the same to RabbitMQ.
private let fieldsOfTypeL = [
  "amqp exchange-declare": ["x-big"], "pika integers": ["negative"],
  "amqp every-type": ["long", "negative"], "amqp int32-minimum": ["n"],
]

private func properties(_ fill: (inout BasicProperties) -> Void) -> BasicProperties {
  var properties = BasicProperties()
  fill(&properties)
  return properties
}

extension Golden {
  /// The octets as AMQPWire writes them.
  fileprivate var written: [UInt8] {
    var octets = octets
    for field in fieldsOfTypeL[name] ?? [] {
      if let range = octets.firstRange(of: Array((field + "L").utf8)) {
        octets[range.upperBound - 1] = UInt8(ascii: "l")
      }
    }
    return octets
  }

  /// The parts of a frame, checked for size and end.
  fileprivate func frame() throws -> (header: FrameHeader, payload: [UInt8]) {
    let header = try #require(FrameHeader(octets: octets))
    #expect(header.length == octets.count && octets.last == WireLimits.frameEnd)
    return (header, Array(octets.dropFirst(7).dropLast()))
  }
}

@Suite struct GoldenTests {
  @Test func `every golden has an expected value, and every expected value a golden`() {
    let expected: [String: Set<String>] = [
      "frame": Set(goldenMethods.keys).union(goldenContentHeaders.keys).union(goldenBodies.keys)
        .union(goldenHeartbeats),
      "properties": Set(goldenProperties.keys),
      "table": Set(goldenTables.keys),
    ]
    #expect(Golden.all.count == expected.values.reduce(0) { $0 + $1.count })
    for (kind, names) in expected {
      #expect(Set(Golden.all.filter { $0.kind == kind }.map(\.name)) == names)
    }
  }

  @Test(arguments: goldenMethods.keys.sorted())
  func `a method frame of a client library is read as meant and written to the octet`(_ name: String) throws {
    let golden = try Golden.named(name)
    let expected = try #require(goldenMethods[name])
    let (header, payload) = try golden.frame()
    #expect(header.type == FrameType.method.rawValue)
    let id = type(of: expected).id
    #expect(payload.prefix(4) == [0, UInt8(id.classID), 0, UInt8(id.methodID)])
    let read = try type(of: expected).init(octets: Array(payload.dropFirst(4)))
    #expect(fields(of: read).map(\.value) == fields(of: expected).map(\.value))
    #expect(expected.frame(channel: header.channel) == golden.written)
  }

  @Test(arguments: goldenProperties.keys.sorted())
  func `properties of a client library are read as meant and written to the octet`(_ name: String) throws {
    let golden = try Golden.named(name)
    let expected = try #require(goldenProperties[name])
    #expect(try BasicProperties(octets: golden.octets) == expected)
    #expect(expected.octets == golden.octets)
    #expect(agree(try PropertyIndex(octets: golden.octets), with: expected, in: golden.octets))
  }

  @Test(arguments: goldenTables.keys.sorted())
  func `a table of a client library is read as meant and written to the octet`(_ name: String) throws {
    let golden = try Golden.named(name)
    let expected = try #require(goldenTables[name])
    #expect(try readTable(golden.octets) == expected)
    #expect(octets(of: expected) == golden.written)
  }

  @Test(arguments: goldenContentHeaders.keys.sorted())
  func `a content header of a client library is read as meant`(_ name: String) throws {
    let expected = try #require(goldenContentHeaders[name])
    let (frame, payload) = try Golden.named(name).frame()
    #expect(frame.type == FrameType.header.rawValue && frame.channel == expected.channel)
    let header = try #require(ContentHeader(octets: payload))
    #expect(header.classID == 60 && header.weight == 0 && header.bodySize == expected.bodySize)
    let rest = Array(payload.dropFirst(WireLimits.contentHeaderSize))
    #expect(try BasicProperties(octets: rest) == expected.properties)
    #expect(expected.properties.octets == rest)
  }

  @Test(arguments: goldenBodies.keys.sorted())
  func `a body frame of a client library holds the body`(_ name: String) throws {
    let (header, payload) = try Golden.named(name).frame()
    #expect(header.type == FrameType.body.rawValue)
    #expect(ByteString(payload).text == goldenBodies[name])
  }

  @Test(arguments: goldenHeartbeats.sorted())
  func `a heartbeat of a client library is an empty frame on channel 0`(_ name: String) throws {
    let (header, payload) = try Golden.named(name).frame()
    #expect(header.type == FrameType.heartbeat.rawValue && header.channel == 0 && payload.isEmpty)
  }
}
