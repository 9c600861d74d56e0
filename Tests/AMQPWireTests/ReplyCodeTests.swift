/// Reply codes, and texts that have to fit into a short string.
import AMQPWire
import Testing

/// The constants of amqp-rabbitmq-0.9.1.json whose class is soft-error or hard-error, and the success.
private let replyCodes: [(name: String, value: UInt16, isHard: Bool)] = [
  ("OK", 200, false), ("CONTENT_TOO_LARGE", 311, false), ("NO_ROUTE", 312, false),
  ("NO_CONSUMERS", 313, false), ("ACCESS_REFUSED", 403, false), ("NOT_FOUND", 404, false),
  ("RESOURCE_LOCKED", 405, false), ("PRECONDITION_FAILED", 406, false), ("CONNECTION_FORCED", 320, true),
  ("INVALID_PATH", 402, true), ("FRAME_ERROR", 501, true), ("SYNTAX_ERROR", 502, true),
  ("COMMAND_INVALID", 503, true), ("CHANNEL_ERROR", 504, true), ("UNEXPECTED_FRAME", 505, true),
  ("RESOURCE_ERROR", 506, true), ("NOT_ALLOWED", 530, true), ("NOT_IMPLEMENTED", 540, true),
  ("INTERNAL_ERROR", 541, true),
]

@Suite struct ReplyCodeTests {
  @Test(arguments: replyCodes)
  func `name, value and scope are the grammar's`(_ name: String, _ value: UInt16, _ isHard: Bool) throws {
    let code = try #require(ReplyCode(rawValue: value))
    #expect(code.name == name)
    #expect(code.closesConnection == isHard)
  }

  @Test func `there is no other code`() {
    #expect((0...UInt16.max).filter { ReplyCode(rawValue: $0) != nil } == replyCodes.map(\.value).sorted())
  }

  @Test func `a reply text begins with the code's name`() {
    let error = ProtocolError(.notFound, "no queue 'q' in vhost '/'")
    #expect(error.replyText == "NOT_FOUND - no queue 'q' in vhost '/'")
  }

  @Test func `a reply text that is too long is cut to a short string`() {
    let error = ProtocolError(.notAllowed, String(repeating: "x", count: 300))
    #expect(error.replyText.count == 255)
    #expect(error.replyText.text.hasPrefix("NOT_ALLOWED - xxx"))
  }

  @Test(arguments: ["x", "é", "本", "😀"], 0..<6)
  func `a text is cut to as many whole characters as 255 octets hold`(_ character: String, _ offset: Int) {
    let text = String(repeating: "a", count: offset) + String(repeating: character, count: 256)
    let cut = ByteString.short(text)
    #expect(isUTF8(cut.bytes))
    #expect(Array(text.utf8).starts(with: cut.bytes))
    #expect(cut.count <= 255 && cut.count + character.utf8.count > 255)
  }

  @Test(arguments: [0, 1, 254, 255])
  func `a text that fits is left whole`(_ count: Int) {
    let text = String(repeating: "a", count: count)
    #expect(ByteString.short(text) == ByteString(text))
  }

  @Test func `a text of 255 octets that ends with a long character is left whole`() {
    let text = String(repeating: "a", count: 251) + "😀"
    #expect(ByteString.short(text) == ByteString(text))
  }
}

@Suite struct ByteStringTests {
  @Test func `strings are equal by their octets and not by how they look`() {
    let composed: ByteString = "\u{E9}"
    let decomposed: ByteString = "e\u{301}"
    #expect(composed.text == decomposed.text)
    #expect(composed != decomposed)
    #expect(Set([composed, decomposed, "\u{E9}"]).count == 2)
  }

  @Test func `octets that are not UTF-8 are shown and kept`() {
    let octets = ByteString([0x61, 0xFF])
    #expect(octets.text == "a\u{FFFD}" && octets.description == "a\u{FFFD}")
    #expect(octets.bytes == [0x61, 0xFF])
  }

  @Test func `strings are ordered by their octets`() {
    #expect((["b", "", "aa", "a", "ä"] as [ByteString]).sorted() == ["", "a", "aa", "b", "ä"])
  }

  @Test func `a prefix is one of octets`() {
    let name: ByteString = "amq.direct"
    #expect(name.hasPrefix("amq.") && name.hasPrefix("") && !name.hasPrefix("amq.direct."))
  }

  @Test func `a short string of more than 255 octets is cut and not trapped`() {
    var writer = FieldWriter()
    writer.put(shortString: ByteString([UInt8](repeating: 7, count: 300)))
    #expect(writer.bytes == [255] + [UInt8](repeating: 7, count: 255))
  }
}
