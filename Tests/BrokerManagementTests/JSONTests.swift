/// JSON from peers: what is taken, and what is said of what is not.

import LuaRuntime
import Testing

@testable import BrokerManagement

@Suite struct `The JSON of a request` {
  @Test(arguments: [
    ("null", LuaValue.null), (" true ", .boolean(true)), ("\tfalse\r\n", .boolean(false)), ("0", .integer(0)),
    ("-0", .integer(0)), ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
    ("9223372036854775808", .number(9_223_372_036_854_775_808)), ("1.5", .number(1.5)),
    ("1e3", .number(1000)),
    ("-2.5E-1", .number(-0.25)), ("\"\"", .text("")),
    ("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\"", .text("a\"\\/\u{8}\u{c}\n\r\t")),
    ("\"\\u00e9\\u4e2d\\ud83d\\ude00\"", .text("é中😀")), ("\"\\u0000\"", .text("\0")), ("[]", .list([])),
    ("{}", .table([:])),
    ("[1,[2]]", .list([.integer(1), .list([.integer(2)])])),
    ("{\"a\":1,\"a\":2}", .table(["a": .integer(2)])),
  ]) func `is read as scripts see it`(text: String, value: LuaValue) throws {
    #expect(try JSON.value(text.utf8) == value)
  }

  @Test(arguments: [
    ("", "the end at octet 0, expected a value"), ("nul", "the end at octet 3, expected null"),
    ("01", "'1' at octet 1, expected the end"), ("+1", "'+' at octet 0, expected a value"),
    ("1.", "the end at octet 2, expected a digit"), ("-", "the end at octet 1, expected a digit"),
    ("1e", "the end at octet 2, expected a digit"), ("1e999", "the number at octet 0 is too large"),
    ("NaN", "'N' at octet 0, expected a value"), ("'a'", "''' at octet 0, expected a value"),
    ("\"a", "the end at octet 2, expected the rest of a string"),
    ("\"\n\"", "octet 10 at octet 1, expected the rest of a string"),
    ("\"\\x\"", "'x' at octet 2, expected an escape"),
    ("\"\\u12g4\"", "'g' at octet 5, expected four hexadecimal digits"),
    ("\"\\ud800\"", "'\"' at octet 7, expected a surrogate pair before it"),
    ("\"\\ud800\\u0041\"", "'\"' at octet 13, expected the second half of a surrogate pair before it"),
    ("[1,]", "']' at octet 3, expected a value"), ("[1 2]", "'2' at octet 3, expected ',' or ']'"),
    ("{1:2}", "'1' at octet 1, expected a name in quotes"), ("{\"a\" 1}", "'1' at octet 5, expected ':'"),
    ("{\"a\":1,}", "'}' at octet 7, expected a name in quotes"), ("{}{}", "'{' at octet 2, expected the end"),
  ]) func `says where it is wrong`(text: String, problem: String) {
    #expect(throws: JSONError(description: problem)) { try JSON.value(text.utf8) }
  }

  @Test func `is UTF-8`() {
    #expect(throws: JSONError(description: "the string at octet 0 is no UTF-8")) {
      try JSON.value([0x22, 0xFF, 0x22])
    }
  }

  @Test func `has a bound on nesting`() throws {
    let deepest = String(repeating: "[", count: 33) + String(repeating: "]", count: 33)
    _ = try JSON.value(deepest.utf8)
    #expect(throws: JSONError(description: "nested deeper than 32 at octet 33")) {
      try JSON.value(String(repeating: "[", count: 1 << 20).utf8)
    }
    #expect(throws: JSONError.self) { try JSON.value(String(repeating: "{\"a\":", count: 1 << 16).utf8) }
  }

  @Test func `is written so that it can be read again`() throws {
    let value = LuaValue.table([
      "text": .text("a\"\\\n\u{1}\u{7f}é😀"),
      "list": .list([.integer(-1), .number(0.5), .null, .boolean(true)]),
      "table": .table([:]),
    ])
    #expect(try JSON.value(JSON.text(value)) == value)
    #expect(String(decoding: JSON.text(.number(.nan)), as: UTF8.self) == "null")
    #expect(String(decoding: JSON.text(.timestamp(5)), as: UTF8.self) == "{\"timestamp\":5}")
    #expect(String(decoding: JSON.text(.bytes([0x61, 0xFF])), as: UTF8.self) == "\"a\u{FFFD}\"")
  }

  @Test func `any octets are read or refused`() {
    var random = SystemRandomNumberGenerator()
    let alphabet = Array("{}[]\",:\\utrfn0123456789.eE+- \u{1}é".utf8)
    for _ in 0..<20_000 {
      let octets = (0..<Int.random(in: 0..<30, using: &random)).map { _ in
        alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
      }
      _ = try? JSON.value(octets)
    }
  }
}
