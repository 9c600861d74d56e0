/// Octets that are wrong: each family ends the connection with its code, and others are served as before.
import AMQPWire
import BrokerTestKit
import Testing

struct MalformedCase: Sendable, CustomTestStringConvertible {
  let name: String
  /// Sent when channel 1 is open.
  let octets: [UInt8]
  let code: UInt16
  /// How the text goes on behind the code's name.
  let text: String
  let method: MethodID
  var testDescription: String { name }

  init(_ name: String, _ octets: [UInt8], _ code: UInt16, _ text: String, _ method: MethodID = MethodID(0, 0))
  {
    self.name = name
    self.octets = octets
    self.code = code
    self.text = text
    self.method = method
  }

  static let all = frames + contents + bodies + methods + tables + channels

  private static let publish = Octets.method(BasicPublish { $0.routingKey = "nobody" })
  private static let flow: [UInt8] = [0, 20, 0, 20, 1]
  private static let noMethod = "expected method frame, got non method frame instead"
  private static let noHeader = "expected content header for class 60, got non content header frame instead"
  private static let noBody = "expected content body, got non content body frame instead"

  private static let frames: [MalformedCase] = [
    MalformedCase(
      "a frame ends with 0", Octets.frame(1, flow, end: 0), 501, "type 1, channel 1: frame ends with"),
    MalformedCase(
      "a frame ends with 207", Octets.frame(1, flow, end: 207), 501, "type 1, channel 1: frame ends"),
    MalformedCase("type 0", Octets.frame(0, [1, 2]), 501, "type 0, channel 1, 2 octets: unknown frame type"),
    MalformedCase("type 4", Octets.frame(4, [1, 2]), 501, "type 4, channel 1"),
    MalformedCase("type 255", Octets.frame(255, []), 501, "type 255, channel 1"),
    MalformedCase("type 4 on channel 0", Octets.frame(4, channel: 0, [1]), 501, "type 4, channel 0"),
    MalformedCase(
      "a larger size than negotiated", Octets.frame(3, [], size: 131_073), 501, "type 3, channel 1"),
    MalformedCase(
      "a size of 4 GiB", Octets.frame(1, [], size: .max), 501, "type 1, channel 1: frame of 4294967295"),
    MalformedCase("a heartbeat on channel 1", Octets.frame(8), 505, "type 8, channel 1"),
    MalformedCase("a heartbeat on a channel that is not open", Octets.frame(8, channel: 9), 505, "type 8"),
    MalformedCase("a heartbeat with a payload", Octets.frame(8, channel: 0, [1]), 501, "type 8, channel 0"),
    MalformedCase("a heartbeat with a payload on channel 1", Octets.frame(8, [1]), 501, "type 8, channel 1"),
    MalformedCase("a header on channel 0", Octets.header(channel: 0, bodySize: 0), 505, "type 2, channel 0"),
    MalformedCase("a body on channel 0", Octets.body(channel: 0, [1]), 505, "type 3, channel 0"),
  ]

  private static func afterPublish(
    _ name: String, _ octets: [UInt8], _ code: UInt16, _ text: String, _ method: MethodID = BasicPublish.id
  ) -> MalformedCase {
    MalformedCase("after basic.publish " + name, publish + octets, code, text, method)
  }

  private static let contents: [MalformedCase] = [
    MalformedCase("a header without a method", Octets.header(bodySize: 0), 505, noMethod),
    MalformedCase("a body without a method", Octets.body([1]), 505, noMethod),
    MalformedCase("an empty body without a method", Octets.body([]), 505, noMethod),
    afterPublish("a method", publish, 505, noHeader),
    afterPublish("another method", Octets.frame(1, flow), 505, noHeader, MethodID(60, 40)),
    afterPublish("channel.close", Octets.method(ChannelClose()), 505, noHeader),
    afterPublish("a body", Octets.body([1]), 505, noHeader),
    afterPublish(
      "a header of class 50", Octets.header(bodySize: 0, classID: 50), 505,
      "expected content header for class 60, got one for class 50 instead"),
    afterPublish("a header of weight 1", Octets.header(bodySize: 0, weight: 1), 505, noHeader),
    afterPublish(
      "a header cut short", Octets.frame(2, [0, 60, 0, 0, 0, 0, 0]), 501, "content header of 7 octets",
      MethodID(0, 0)),
    afterPublish("an empty header", Octets.frame(2, []), 501, "content header of 0 octets", MethodID(0, 0)),
    afterPublish(
      "a header without flags", Octets.header(bodySize: 0, properties: []), 502, "cannot decode properties"),
    afterPublish(
      "flags that promise more", Octets.header(bodySize: 0, properties: [0x80, 0]), 502,
      "cannot decode properties"),
    afterPublish(
      "a property that runs over", Octets.header(bodySize: 0, properties: [0x80, 0, 9, 97]), 502,
      "cannot decode properties"),
    afterPublish(
      "a second word of flags", Octets.header(bodySize: 0, properties: [0, 1, 0, 0]), 502,
      "cannot decode properties"),
    afterPublish(
      "octets behind the properties", Octets.header(bodySize: 0, properties: [0, 0, 7]), 502,
      "cannot decode properties"),
    afterPublish(
      "headers with an unknown type",
      Octets.header(bodySize: 0, properties: [0x20, 0, 0, 0, 0, 3, 1, 97, 90]), 502,
      "cannot decode properties"),
    afterPublish(
      "a body of more than 512 MiB announced", Octets.header(bodySize: 536_870_913), 501,
      "content body size 536870913 exceeds maximum allowed size 536870912"),
    afterPublish("a body of 2^64 - 1 announced", Octets.header(bodySize: .max), 501, "content body size"),
  ]

  private static let bodies: [MalformedCase] = [
    afterPublish(
      "more octets than announced", Octets.header(bodySize: 3) + Octets.body([1, 2, 3, 4]), 501,
      "content body frame exceeds remaining content size"),
    afterPublish(
      "more octets in the second frame",
      Octets.header(bodySize: 3) + Octets.body([1, 2]) + Octets.body([3, 4]), 501,
      "content body frame exceeds remaining content size"),
    afterPublish(
      "a body behind a complete one", Octets.header(bodySize: 1) + Octets.body([1]) + Octets.body([2]), 505,
      noMethod, MethodID(0, 0)),
    afterPublish(
      "a body for no body", Octets.header(bodySize: 0) + Octets.body([2]), 505, noMethod, MethodID(0, 0)),
    afterPublish(
      "a method within a body", Octets.header(bodySize: 3) + Octets.body([1]) + publish, 505, noBody),
    afterPublish(
      "a header within a body", Octets.header(bodySize: 3) + Octets.body([1]) + Octets.header(bodySize: 3),
      505, noBody
    ),
    afterPublish(
      "channel.close within a body", Octets.header(bodySize: 3) + Octets.method(ChannelClose()), 505, noBody),
  ]

  /// Too large to be sent an octet at a time.
  static let large: [MalformedCase] = [
    afterPublish(
      "more octets than announced of a large body",
      Octets.header(bodySize: 1_048_577)
        + (0..<9).flatMap { _ in Octets.body([UInt8](repeating: 1, count: 131_000)) }, 501,
      "content body frame exceeds remaining content size"),
    afterPublish(
      "a method within a large body", Octets.header(bodySize: 100_000_000) + Octets.body([1]) + publish, 505,
      noBody),
  ]

  private static let methods: [MalformedCase] = [
    MalformedCase("an empty method frame", Octets.frame(1, []), 501, "method frame of 0 octets"),
    MalformedCase(
      "a method frame of three octets", Octets.frame(1, [0, 50, 0]), 501, "method frame of 3 octets"),
    MalformedCase("class 0", Octets.method(MethodID(0, 10)), 503, "unknown method 0.10", MethodID(0, 10)),
    MalformedCase("class 999", Octets.method(MethodID(999, 1)), 503, "unknown method", MethodID(999, 1)),
    MalformedCase("method 60.99", Octets.method(MethodID(60, 99)), 503, "unknown method", MethodID(60, 99)),
    MalformedCase(
      "an unknown method on channel 0", Octets.method(MethodID(10, 99), channel: 0), 503,
      "unknown method 10.99 on channel 0", MethodID(10, 99)),
    MalformedCase(
      "queue.declare cut short", Octets.method(QueueDeclare.id, [0, 0, 9, 97]), 501,
      "cannot decode QueueDeclare",
      QueueDeclare.id),
    MalformedCase(
      "basic.ack cut short", Octets.method(BasicAck.id, [0, 0, 0]), 501, "cannot decode BasicAck", BasicAck.id
    ),
    MalformedCase(
      "basic.publish cut short", Octets.method(BasicPublish.id, [0, 0, 1, 97, 200, 98, 0]), 501,
      "cannot decode BasicPublish", BasicPublish.id),
    MalformedCase(
      "basic.publish with nothing", Octets.method(BasicPublish.id), 501, "cannot decode BasicPublish",
      BasicPublish.id),
    MalformedCase(
      "basic.publish with more", Octets.method(BasicPublish.id, [0, 0, 0, 0, 0, 0]), 501,
      "cannot decode BasicPublish", BasicPublish.id),
    MalformedCase(
      "octets behind basic.qos", Octets.method(BasicQos.id, [0, 0, 0, 0, 0, 0, 0, 9]), 501,
      "cannot decode BasicQos",
      BasicQos.id),
    MalformedCase(
      "octets behind tx.select", Octets.method(TxSelect.id, [1]), 501, "cannot decode TxSelect", TxSelect.id),
    MalformedCase(
      "a name that is no UTF-8", Octets.method(QueueDeclare { $0.queue = ByteString([255, 254]) }), 501,
      "Malformed UTF-8 in shortstr", QueueDeclare.id),
    MalformedCase(
      "a routing key that is no UTF-8", Octets.method(BasicPublish { $0.routingKey = ByteString([255]) }),
      501,
      "Malformed UTF-8 in shortstr", BasicPublish.id),
    MalformedCase(
      "a method of the broker", Octets.method(QueueDeclareOk()), 503, "unimplemented method",
      QueueDeclareOk.id),
    MalformedCase(
      "another method of the broker", Octets.method(BasicDeliver()), 503, "unimplemented method",
      BasicDeliver.id),
    MalformedCase(
      "a method of the connection on a channel", Octets.method(ConnectionClose()), 503,
      "unimplemented method",
      ConnectionClose.id),
    MalformedCase(
      "connection.start-ok cut short on channel 0", Octets.method(ConnectionStartOk.id, channel: 0, [0]), 501,
      "cannot decode ConnectionStartOk", ConnectionStartOk.id),
    MalformedCase("channel.flow off", Octets.method(ChannelFlow()), 540, "active=false", ChannelFlow.id),
    MalformedCase(
      "basic.qos by octets", Octets.method(BasicQos { $0.prefetchSize = 1 }), 540, "prefetch_size!=0 (1)",
      BasicQos.id),
    MalformedCase(
      "basic.recover without requeue", Octets.method(BasicRecover()), 540, "requeue=false", BasicRecover.id),
    MalformedCase(
      "basic.publish immediate",
      Octets.publish(BasicPublish { $0.immediate = true }, body: []), 540, "immediate=true", BasicPublish.id),
  ]

  private static func declare(_ name: String, _ table: [UInt8]) -> MalformedCase {
    // ticket, name, bits, and then the table as it is.
    MalformedCase(
      "an argument table " + name, Octets.method(QueueDeclare.id, [0, 0, 1, 113, 0] + table), 501,
      "cannot decode QueueDeclare", QueueDeclare.id)
  }

  private static let tables: [MalformedCase] = [
    declare("shorter than it says", [0, 0, 0, 32, 1, 97, 73, 0, 0, 0, 1]),
    declare("of 4 GiB", [255, 255, 255, 255]),
    declare("longer than it says", [0, 0, 0, 2, 1, 97, 73, 0, 0, 0, 1]),
    declare("with a name that runs over", [0, 0, 0, 3, 9, 97, 98]),
    declare("with a value cut short", [0, 0, 0, 5, 1, 97, 73, 0, 0]),
    declare("with a string that runs over", [0, 0, 0, 8, 1, 97, 83, 0, 0, 0, 9, 120]),
    declare("with an array that runs over", [0, 0, 0, 8, 1, 97, 65, 0, 0, 0, 9, 116]),
    declare("with a name and no value", [0, 0, 0, 2, 1, 97]),
    declare("with an unknown type", [0, 0, 0, 4, 1, 97, 90, 0]),
    declare("nested too deep", nested(200)),
  ]

  /// Tables within one another, each the only field of the one around it.
  private static func nested(_ depth: Int) -> [UInt8] {
    var table: [UInt8] = [0, 0, 0, 0]
    for _ in 0..<depth {
      var writer = FieldWriter()
      writer.put(UInt32(table.count + 3))
      writer.put([1, 97, UInt8(ascii: "F")])
      writer.put(table)
      table = writer.bytes
    }
    return table
  }

  private static let channels: [MalformedCase] = [
    MalformedCase(
      "channel.open twice", Octets.method(ChannelOpen()), 504, "second 'channel.open' seen", ChannelOpen.id),
    MalformedCase(
      "a method on a channel that is not open", Octets.method(QueueDeclare(), channel: 5), 504,
      "expected 'channel.open'", QueueDeclare.id),
    MalformedCase(
      "an unknown method on a channel that is not open", Octets.method(MethodID(60, 99), channel: 5), 503,
      "unknown method 60.99", MethodID(60, 99)),
    MalformedCase(
      "a header on a channel that is not open", Octets.header(channel: 5, bodySize: 0), 505, noMethod),
    MalformedCase("a body on a channel that is not open", Octets.body(channel: 5, [1]), 505, noMethod),
    MalformedCase(
      "channel.close-ok without a close", Octets.method(ChannelCloseOk()), 503, "unimplemented method",
      ChannelCloseOk.id),
    MalformedCase(
      "a consumer tag twice",
      Octets.method(QueueDeclare { $0.queue = "q" })
        + Octets.method(
          BasicConsume {
            $0.queue = "q"
            $0.consumerTag = "t"
          })
        + Octets.method(
          BasicConsume {
            $0.queue = "q"
            $0.consumerTag = "t"
          }), 530, "attempt to reuse consumer tag 't'", BasicConsume.id),
  ]

  /// "UNEXPECTED_FRAME - …"
  var reply: String { (ReplyCode(rawValue: code)?.name ?? "") + " - " + text }
}

@Suite struct MalformedTests {
  @Test(arguments: Depth.all, MalformedCase.all)
  func `what is wrong ends the connection with its code, and nobody else's`(
    _ depth: Depth, _ table: MalformedCase
  ) async throws {
    try await Self.play(table, depth)
  }

  @Test(arguments: Depth.whole, MalformedCase.large)
  func `what is large and wrong ends the connection too`(_ depth: Depth, _ table: MalformedCase) async throws
  {
    try await Self.play(table, depth)
  }

  private static func play(_ table: MalformedCase, _ depth: Depth) async throws {
    try await depth.play { house in
      let (client, other) = (try await house.client(), try await house.client())
      try await client.send(octets: table.octets)
      let closed = try await client.connectionError()
      #expect(closed.code == table.code && closed.text.hasPrefix(table.reply), "\(closed)")
      #expect(closed.method == table.method)
      try await other.fence()
      try await house.expectServing()
    }
  }

  @Test(arguments: Depth.whole, [1, 2])
  func `a frame may be larger than negotiated by what stands around it, and by no more`(
    _ depth: Depth, _ excess: Int
  ) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      let size = 131_072 - 1 + excess
      try await client.send(
        octets: Octets.method(BasicPublish { $0.routingKey = "q" }) + Octets.header(bodySize: UInt64(size))
          + Octets.body([UInt8](repeating: 7, count: size)))
      if excess == 1 {
        #expect(try await client.get("q")?.content.body.count == size)
      } else {
        #expect(try await client.connectionError().code == 501)
      }
    }
  }

  @Test(arguments: Depth.whole)
  func `no frame of a handshake is larger than 4 KiB`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.raw()
      try await client.greet()
      try await client.send(octets: Octets.frame(1, channel: 0, [], size: 4097))
      #expect(try await client.connectionError().code == 501)
    }
  }
}
