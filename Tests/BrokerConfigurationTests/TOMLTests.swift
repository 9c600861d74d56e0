/// TOML: what the specification shows, and what it forbids.

import LuaRuntime
import Testing

@testable import BrokerConfiguration

@Suite struct `TOML` {
  private func plain(_ value: TOMLValue) -> LuaValue {
    switch value {
    case .plain(let value): value
    case .date(let text): .text("date \(text)")
    case .list(let items): .list(items.map { plain($0.value) })
    case .tables(let tables): .list(tables.tables.map { plain(.table($0)) })
    case .table(let table): .table(table.fields.mapValues { plain($0.value) })
    }
  }

  private func value(_ text: String) throws -> LuaValue {
    try plain(.table(BrokerConfiguration.TOML.parse("k = \(text)")))["k"] ?? .null
  }

  @Test(arguments: [
    ("true", LuaValue.boolean(true)), ("false # no", .boolean(false)), ("+99", .integer(99)),
    ("-17", .integer(-17)),
    ("1_000", .integer(1000)), ("0xDEAD_beef", .integer(0xDEAD_BEEF)), ("0o755", .integer(0o755)),
    ("0b1101", .integer(0b1101)), ("-0", .integer(0)), ("9223372036854775807", .integer(.max)),
    ("+1.0", .number(1)), ("3.14_15", .number(3.1415)), ("5e+22", .number(5e22)), ("1e06", .number(1e6)),
    ("-2E-2", .number(-0.02)), ("6.626e-34", .number(6.626e-34)), ("-inf", .number(-.infinity)),
    ("1979-05-27T07:32:00Z", .text("date 1979-05-27T07:32:00Z")),
    ("1979-05-27 07:32:00", .text("date 1979-05-27 07:32:00")),
    ("1979-05-27", .text("date 1979-05-27")), ("07:32:00.5", .text("date 07:32:00.5")),
    ("\"a\\t\\\"\\u00e9\\U0001F600\\\\\"", .text("a\t\"é😀\\")), ("'C:\\Users\\n'", .text("C:\\Users\\n")),
    ("''", .text("")),
    ("\"\"\"\nRoses\nViolets\"\"\"", .text("Roses\nViolets")), ("\"\"\"a \\\n   \n  b\"\"\"", .text("a b")),
    ("\"\"\"\"x\"\"\"\"\"", .text("\"x\"\"")), ("'''\r\na\\\r\n'b'''", .text("a\\\n'b")),
    ("'''''two'' '''", .text("''two'' ")),
    ("[]", .list([])), ("[ 1, 2, ]", .list([.integer(1), .integer(2)])),
    ("[ # one\n 'a',\n\n [true] # two\n]", .list([.text("a"), .list([.boolean(true)])])),
    ("{}", .table([:])),
    ("{ a.b = 1, 'c d' = [ {} ] }", .table(["a": .table(["b": .integer(1)]), "c d": .list([.table([:])])])),
  ]) func `values are read`(text: String, expected: LuaValue) throws {
    #expect(try value(text) == expected)
  }

  @Test func `tables are read, however they are written`() throws {
    let text = """
      \u{FEFF}# a document
      a."b c".'d' = 1\r
      a.e = 2
      [x.y.z]
      one = 1
      [x]
      two = 2
      [[fruit]]
      name = "apple"
      [fruit.physical]
      color = "red"
      [[fruit.variety]]
      name = "delicious"
      [[fruit]]
      name = "banana"
      [ g . "h" ]
      1 = 3
      """
    #expect(
      try plain(.table(BrokerConfiguration.TOML.parse(text)))
        == .table([
          "a": .table(["b c": .table(["d": .integer(1)]), "e": .integer(2)]),
          "x": .table(["y": .table(["z": .table(["one": .integer(1)])]), "two": .integer(2)]),
          "fruit": .list([
            .table([
              "name": .text("apple"), "physical": .table(["color": .text("red")]),
              "variety": .list([.table(["name": .text("delicious")])]),
            ]), .table(["name": .text("banana")]),
          ]), "g": .table(["h": .table(["1": .integer(3)])]),
        ]))
  }

  @Test func `lines are told`() throws {
    let root = try BrokerConfiguration.TOML.parse("a = '''\n\n'''\n[t]\nb = [\n1,\n2]\nc = 1")
    #expect(root.fields["a"]?.line == 1)
    guard case .table(let table)? = root.fields["t"]?.value, case .list(let items)? = table.fields["b"]?.value
    else {
      Issue.record("another shape")
      return
    }
    #expect(table.line == 4 && items.map(\.line) == [6, 7] && table.fields["c"]?.line == 8)
  }

  @Test(arguments: [
    ("a", 1, "the end, expected '='"), ("\na =", 2, "the end, expected a value"),
    ("= 1", 1, "'=', expected a key"),
    ("a = 1 b = 2", 1, "'b', expected the line's end"), ("a. = 1", 1, "'=', expected a key"),
    ("[a", 1, "the end, expected ']'"),
    ("[[a]", 1, "']', expected ']]'"), ("[]", 1, "']', expected a key"), ("[ [a]]", 1, "'[', expected a key"),
    ("[a] b = 1", 1, "'b', expected the line's end"), ("é = 1", 1, "octet 195, expected a key"),
    ("a = 1\na = 2", 2, "a stands there already on line 1"),
    ("[a]\n[a]", 2, "a stands there already on line 1"),
    ("a = 1\n[a.b]", 2, "a stands there already on line 1"),
    ("a = {}\n[a.b]", 2, "a stands there already on line 1"),
    ("a = {}\na.b = 1", 2, "a stands there already on line 1"),
    ("a = []\n[[a]]", 2, "a stands there already on line 1"),
    ("[a.b]\n[a]\nb.c = 1", 3, "b stands there already on line 1"),
    ("a.b = 1\n[a]", 2, "a stands there already on line 1"),
    ("a = {b.c = 1}\n[a.b]", 2, "a stands there already on line 1"),
    ("[[a]]\n[a]", 2, "a stands there already on line 1"),
    ("a = yes", 1, "'yes' is no value; strings stand in quotes"),
    ("a = 01", 1, "'01' is no value; strings stand in quotes"),
    ("a = 1__0", 1, "'1__0' is no value; strings stand in quotes"),
    ("a = 1.", 1, "'1.' is no value; strings stand in quotes"),
    ("a = .5", 1, "'.5' is no value; strings stand in quotes"),
    ("a = +0x1", 1, "'+0x1' is no value; strings stand in quotes"),
    ("a = 9223372036854775808", 1, "'9223372036854775808' is no value; strings stand in quotes"),
    ("a = \"b", 1, "the end, expected the rest of a string"),
    ("a = 'b\n'", 1, "the line's end, expected the rest of a string"),
    ("a = \"\\x\"", 1, "'x', expected an escape"), ("a = \"\\ud800\"", 1, "\\u names no character"),
    ("a = \"\\u12\"", 1, "'\"', expected a hexadecimal digit"),
    ("a = '''\n", 2, "the end, expected the rest of a string"),
    ("a = \"\u{1}\"", 1, "octet 1, expected the rest of a string"),
    ("# \u{1}", 1, "octet 1, expected no control character"),
    ("a = [1 2]", 1, "'2', expected ',' or ']'"), ("a = [,]", 1, "',', expected a value"),
    ("a = [1", 1, "the end, expected ',' or ']'"),
    ("a = {b = 1,}", 1, "'}', expected a key"), ("a = {b = 1\n}", 1, "the line's end, expected ',' or '}'"),
    ("a = {b = 1, b = 2}", 1, "b stands there already on line 1"),
  ]) func `what is wrong is said with its line`(text: String, line: Int, problem: String) {
    #expect(throws: TOMLError(line: line, text: problem)) { try BrokerConfiguration.TOML.parse(text) }
  }
}
