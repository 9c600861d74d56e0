/// Messages: their octets, their further routing keys, and what is refused.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@Suite struct MessageTests {
  private static func text(_ octets: UnsafeRawBufferPointer) -> String { ByteString(octets).text }

  @Test func `a message gives back what it was made of`() throws {
    var properties = BasicProperties(headers: ["a": 1])
    properties.deliveryMode = 2
    properties.priority = 9
    properties.expiration = "1000"
    properties.userID = "guest"
    properties.replyTo = "back"
    let message = Message.of("body", exchange: "exchange", key: "key", properties: properties)
    #expect(Self.text(message.exchange) == "exchange" && Self.text(message.routingKey) == "key")
    #expect(message.bodyText == "body" && message.isComplete)
    #expect(try BasicProperties(message.properties) == properties)
    #expect(message.headerTable() == ["a": 1])
    let index = message.header.properties
    #expect(index.deliveryMode == 2 && index.priority == 9)
    #expect(Self.text(UnsafeRawBufferPointer(rebasing: message.properties[index.expiration.range])) == "1000")
  }

  @Test func `a message of nothing is complete`() {
    let message = Message.of("")
    #expect(message.isComplete && message.body.isEmpty && message.headers.isEmpty)
    #expect(message.exchange.isEmpty && message.routingKey.isEmpty)
    #expect(message.headerTable().isEmpty)
  }

  @Test func `names of 255 octets fit`() {
    let name = ByteString([UInt8](repeating: 97, count: 255))
    let message = Message.of("b", exchange: name, key: name)
    #expect(ByteString(message.exchange) == name && ByteString(message.routingKey) == name)
    #expect(message.bodyText == "b")
  }

  @Test func `a body comes in parts, and never more than was announced`() throws {
    let message = [0, 0].withUnsafeBytes { (empty: UnsafeRawBufferPointer) in
      let envelope = UnsafeRawBufferPointer(rebasing: empty[..<2])
      return Message.make(envelope: envelope, properties: envelope, index: PropertyIndex(), bodySize: 5)
    }
    func append(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { message.appendBody($0) } }
    #expect(append("ab"))
    #expect(append(""))
    #expect(!message.isComplete)
    #expect(!append("cdef"), "too many are refused whole")
    #expect(append("cde"))
    #expect(message.isComplete && message.bodyText == "abcde")
    #expect(!append("f"))
    #expect(append(""))
  }

  @Test func `other properties leave exchange, key and body`() throws {
    let message = Message.of("body", exchange: "x", key: "k", properties: .init(headers: ["a": 1]))
    var changed = BasicProperties()
    changed.contentType = "text/plain"
    let copy = try message.withProperties(changed)
    #expect(try BasicProperties(copy.properties) == changed)
    #expect(copy.bodyText == "body" && ByteString(copy.envelope) == ByteString(message.envelope))
    #expect(copy.headerTable().isEmpty && message.headerTable() == ["a": 1])
  }
}

@Suite struct ExtraKeysTests {
  let core = Core()

  @Test func `CC and BCC are further keys, each queue gets the message once`() throws {
    for name in ["a", "b", "c", "d"] as [ByteString] { try core.queue(name) }
    let headers: FieldTable = ["CC": .array(["b", "a"]), "BCC": .array(["c", "missing", "c"])]
    #expect(try core.route("", "a", headers: headers) == ["a", "b", "c"])
    #expect(try core.route("", "nowhere", headers: ["CC": .array(["d"])]) == ["d"])
  }

  @Test func `direct and topic exchanges look at the further keys, fanout and headers need none`() throws {
    for name in ["direct", "topic", "fanout", "headers"] as [ByteString] { try core.queue(name) }
    try core.bind("amq.direct", to: "direct", key: "cc")
    try core.bind("amq.topic", to: "topic", key: "c.*")
    try core.bind("amq.fanout", to: "fanout")
    try core.bind("amq.headers", to: "headers")
    let headers: FieldTable = ["CC": .array(["cc", "c.c"])]
    for type in ["direct", "topic", "fanout", "headers"] as [ByteString] {
      #expect(try core.route(ByteString("amq." + type.text), "k", headers: headers) == [type.text])
    }
  }

  @Test func `BCC is not shown to those who get the message, CC is`() throws {
    let headers: FieldTable = ["a": 1, "CC": .array(["x"]), "BCC": .array(["y"])]
    let sent = Message.of("body", exchange: "e", key: "k", properties: .init(headers: headers))
    let message = try sent.withExtraKeys()
    #expect(message.headerTable() == ["a": 1, "CC": .array(["x"])])
    #expect(message.header.extraKeys?.keys == ["x", "y"])
    #expect(message.bodyText == "body" && ByteString(message.envelope) == ByteString(sent.envelope))
  }

  @Test func `a message without them is the same message`() throws {
    for headers in [[:], ["a": "CC in a value"], ["CCC": 1], ["cc": .array(["x"])]] as [FieldTable] {
      let message = Message.of("m", properties: .init(headers: headers))
      #expect(try message.withExtraKeys() === message)
      #expect(message.header.extraKeys == nil)
    }
    let bare = Message.of("m")
    #expect(try bare.withExtraKeys() === bare)
  }

  @Test func `what is not a string in the list is passed over`() throws {
    let headers: FieldTable = ["CC": .array([1, "a", .void, .array(["b"])])]
    let message = try Message.of("m", properties: .init(headers: headers)).withExtraKeys()
    #expect(message.header.extraKeys?.keys == ["a"])
  }

  @Test func `a key that is longer than a routing key can be is passed over`() throws {
    let (most, more) = (String(repeating: "k", count: 255), String(repeating: "k", count: 256))
    let headers: FieldTable = ["CC": .array([.string(ByteString(more)), .string(ByteString(most))])]
    let message = try Message.of("m", properties: .init(headers: headers)).withExtraKeys()
    #expect(message.header.extraKeys?.keys == [ByteString(most)])
  }

  @Test func `a BCC that stands twice is not shown either time`() throws {
    var headers: FieldTable = ["BCC": .array(["x"]), "a": 1]
    headers.append("BCC", .array(["y"]))
    let message = try Message.of("m", properties: .init(headers: headers)).withExtraKeys()
    #expect(message.headerTable() == ["a": 1])
  }

  @Test(arguments: ["CC", "BCC"] as [ByteString])
  func `what is not a list is refused with the text that RabbitMQ has`(_ name: ByteString) {
    let message = Message.of("m", properties: .init(headers: FieldTable(dictionaryLiteral: (name, "key"))))
    #expect(
      refusal { _ = try message.withExtraKeys() }
        == ProtocolError(
          .preconditionFailed, "invalid message: {unacceptable_type_in_header,\"\(name)\",longstr}"))
  }
}
