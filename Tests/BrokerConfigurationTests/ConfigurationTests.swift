/// The configuration file: what each key does, and what is said of what is wrong.

import BrokerCore
import BrokerScripting
import Foundation
import LuaRuntime
import Testing

@testable import BrokerConfiguration

@Suite struct `The configuration file` {
  private func parse(_ text: String) throws -> Configuration {
    try ConfigurationFile.parse(text, path: "y.toml")
  }

  private func problems(_ text: String) -> [String] {
    do {
      _ = try parse(text)
      return []
    } catch let error as ConfigurationError { return error.problems } catch { return ["\(error)"] }
  }

  /// All values as texts.
  private func dump(_ configuration: Configuration) -> String {
    var plain = configuration
    plain.said = []
    return "\(plain)"
  }

  @Test func `of nothing is the defaults`() throws {
    #expect(dump(try parse("")) == dump(Configuration()))
  }

  @Test func `with all defaults is taken, and is the defaults`() throws {
    let configuration = try parse(ConfigurationFile.standard)
    #expect(dump(configuration) == dump(Configuration()))
    #expect(configuration.said.count == ConfigurationKey.all.filter { $0.standard != nil }.count)
    #expect(!ConfigurationFile.standard.split(separator: "\n").contains { $0.count > 100 })
  }

  @Test func `with all samples is taken, too`() throws {
    let text = ConfigurationFile.standard.replacing(/# ([a-z_]+ = |\[plugins)/) { "\($0.1)" }
    let configuration = try parse(text)
    #expect(configuration.said == Set(ConfigurationKey.all.map(\.path) + ["plugins.rate-limit"]))
    #expect(configuration.enabled == ["rate-limit": true])
  }

  @Test func `sets what it says`() throws {
    let configuration = try parse(
      """
      auth.chain = ["internal", "users"]
      auth.cache_seconds = 0.5
      data = { dir = ":memory:" }
      [listen]
      host = "0.0.0.0"
      port = 0
      http = false
      http_host = "::1"
      http_port = 8080
      [log]
      level = "debug"
      [limits]
      max_message_size = 1_000
      max_transaction_size = 2000
      frame_max = 0x4000
      channel_max = 7
      heartbeat = 0
      handshake_seconds = 3
      [scripting]
      plugins = "p"
      client_expressions = true
      memory_bytes = 2_000_000
      milliseconds = 2
      instructions = 5000
      loop_milliseconds_per_second = 50
      [plugins.rate-limit]
      enabled = true
      most = 100
      share = 0.5
      names = ["a", ["b", 1], {}]
      "odd name" = { deep = { on = false } }
      [plugins.stamp]
      enabled = false
      """)
    #expect(configuration.host == "0.0.0.0" && configuration.port == 0 && !configuration.http)
    #expect(configuration.httpHost == "::1" && configuration.httpPort == 8080)
    #expect(configuration.logLevel == "debug" && configuration.dataDir == ":memory:")
    #expect(
      configuration.authChain == ["internal", "users"] && configuration.settings.accessCacheSeconds == 0.5)
    let settings = configuration.settings
    #expect(settings.bodyMaximum == 1000 && settings.transactionMaximum == 2000)
    #expect(settings.frameMaximum == 16_384 && settings.channelMaximum == 7)
    #expect(settings.heartbeatSeconds == 0 && settings.handshakeSeconds == 3)
    let options = configuration.pluginOptions
    #expect(options.folder == "p" && options.clientExpressions && options.limits.memoryBytes == 2_000_000)
    #expect(options.routeBudget == LuaBudget(instructions: 5000, nanoseconds: 2_000_000))
    #expect(options.hookBudget == LuaBudget(instructions: 50_000, nanoseconds: 20_000_000))
    #expect(options.loopNanosecondsPerSecond == 50_000_000)
    #expect(options.authChain == ["internal", "users"])
    #expect(options.enabled == ["rate-limit": true, "stamp": false])
    #expect(
      options.settings == [
        "rate-limit": [
          "most": .integer(100), "share": .number(0.5),
          "names": .list([.text("a"), .list([.text("b"), .integer(1)]), .table([:])]),
          "odd name": .table(["deep": .table(["on": .boolean(false)])]),
        ]
      ])
  }

  @Test(arguments: [
    ("[listen]\nport = 70000", "y.toml:2: listen.port: 70000, expected an integer from 0 to 65535"),
    ("[listen]\r\n\r\nport = 'x'", "y.toml:3: listen.port: 'x', expected an integer from 0 to 65535"),
    ("listen.port = 1.5", "y.toml:1: listen.port: 1.5, expected an integer from 0 to 65535"),
    ("listen = { port = true }", "y.toml:1: listen.port: true, expected an integer from 0 to 65535"),
    ("[listen]\nhost = ''", "y.toml:2: listen.host: '', expected a string that is not empty"),
    ("[listen]\nhost = ['a']", "y.toml:2: listen.host: a list, expected a string that is not empty"),
    ("[listen]\nhttp = 1", "y.toml:2: listen.http: 1, expected true or false"),
    ("[listen]\nprot = 1", "y.toml:2: listen.prot: unknown; did you mean 'port'?"),
    (
      "[listen]\ncolour = 1",
      "y.toml:2: listen.colour: unknown; [listen] has host, port, http, http_host, http_port"
    ),
    ("\n[lisen]\nport = 1", "y.toml:2: lisen: unknown; did you mean 'listen'?"),
    (
      "[storage]\nx = 1",
      "y.toml:1: storage: unknown; expected [listen], [log], [data], [limits], [auth], [scripting], [plugins]"
    ),
    ("[[listen]]", "y.toml:1: listen: a list, expected a section [listen]"),
    ("log = 'debug'", "y.toml:1: log: 'debug', expected a section [log]"),
    (
      "[log]\nlevel = 'loud'",
      "y.toml:2: log.level: 'loud', expected one of 'trace', 'debug', 'info', 'notice', 'warning', 'error', "
        + "'critical'"
    ),
    (
      "[limits]\nframe_max = 4096",
      "y.toml:2: limits.frame_max: 4096, expected an integer from 8192 to 16777216"
    ),
    ("[limits]\nchannel_max = 0", "y.toml:2: limits.channel_max: 0, expected an integer from 1 to 65535"),
    ("[limits]\nheartbeat = -1", "y.toml:2: limits.heartbeat: -1, expected an integer from 0 to 65535"),
    (
      "[auth]\nchain = []", "y.toml:2: auth.chain: a list, expected a list of different strings, at least one"
    ),
    (
      "[auth]\nchain = ['a', 'a']",
      "y.toml:2: auth.chain: a list, expected a list of different strings, at least one"
    ),
    ("[auth]\ncache_seconds = nan", "y.toml:2: auth.cache_seconds: nan, expected a number from 0 to 86400"),
    (
      "[scripting]\nmilliseconds = 0",
      "y.toml:2: scripting.milliseconds: 0, expected a number from 0.01 to 60000"
    ),
    (
      "[scripting]\nmilliseconds = inf",
      "y.toml:2: scripting.milliseconds: inf, expected a number from 0.01 to 60000"
    ),
    ("plugins = 1", "y.toml:1: plugins: 1, expected a section [plugins]"),
    ("[plugins]\nx = true", "y.toml:2: plugins.x: true, expected a section [plugins.x]"),
    ("[plugins.x]\nenabled = 'yes'", "y.toml:2: plugins.x.enabled: 'yes', expected true or false"),
    (
      "[plugins.\"a b\"]\nsince = 2026-01-01",
      "y.toml:2: plugins.\"a b\".since: 2026-01-01 is a date or time; put it in quotes"
    ),
    (
      "[plugins.x]\na = [1, [07:32:00]]",
      "y.toml:2: plugins.x.a.2.1: 07:32:00 is a date or time; put it in quotes"
    ),
    (
      "a = \"\"\"\n[log]\nlevel = 1\n\"\"\"\n[log]\nlevel = 2",
      "y.toml:1: a: unknown; expected [listen], [log], [data], [limits], [auth], [scripting], [plugins]"
    ),
  ]) func `says line, key, value and what was expected`(text: String, problem: String) {
    #expect(problems(text).first == problem)
  }

  @Test func `says all that is wrong, in the file's order`() {
    #expect(
      problems("[log]\nlevel = 1\n[auth]\nchains = 1\n[listen]\nport = -1\n").map { $0.prefix(9) }
        == ["y.toml:2:", "y.toml:4:", "y.toml:6:"])
  }

  @Test func `says where its syntax is wrong`() {
    #expect(problems("[listen]\nport = \n") == ["y.toml:2: the line's end, expected a value"])
    #expect(problems("[=]") == ["y.toml:1: '=', expected a key"])
  }

  @Test func `has bounds on what it holds`() {
    let deep = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
    #expect(problems("[plugins.x]\na = \(deep)") == ["y.toml:2: nested deeper than 32"])
    #expect(problems("[plugins.x]\na = " + String(repeating: "{a=", count: 100_000)).count == 1)
    #expect(problems("[a" + String(repeating: ".a", count: 100_000)) == ["y.toml:1: nested deeper than 32"])
    let name = String(repeating: "n", count: 256)
    #expect(problems("[plugins.x.a]\n\(name) = 1").first?.hasSuffix("has more than 255 octets") == true)
    #expect(problems("[plugins.x]\n\(name) = 1").first?.hasSuffix("has more than 255 octets") == true)
  }

  @Test func `any text is taken or refused`() {
    let words = [
      "[", "]", "listen", "port", " = ", "\n", "\"", "'", "1", "true", ".", ",", "{", "}", "#", "é",
      "plugins", "x",
      "-", "\"\"\"", "\r\n", "\t",
    ]
    for _ in 0..<2000 {
      _ = problems((0..<Int.random(in: 0..<30)).map { _ in words.randomElement() ?? "" }.joined())
    }
  }

  @Test func `is overruled by options`() throws {
    var configuration = try parse("[listen]\nport = 1")
    try configuration.set("listen.port", to: .integer(2), as: "--port")
    try configuration.set("listen.host", to: nil, as: "--host")
    #expect(configuration.port == 2 && configuration.host == "127.0.0.1")
    #expect(
      throws: ConfigurationError(problems: ["--port 70000: expected an integer from 0 to 65535"])
    ) { try configuration.set("listen.port", to: .integer(70_000), as: "--port") }
  }

  // MARK: from disk

  @Test func `is read from disk, and its paths stand beside it`() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "yutu-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "yutu.toml")
    try "[scripting]\nplugins = 'mine'".write(to: file, atomically: true, encoding: .utf8)
    #expect(try ConfigurationFile.read(file.path).plugins == folder.appending(path: "mine").path)
    try "[scripting]\nplugins = '/mine'".write(to: file, atomically: true, encoding: .utf8)
    #expect(try ConfigurationFile.read(file.path).plugins == "/mine")
    try "".write(to: file, atomically: true, encoding: .utf8)
    #expect(try ConfigurationFile.read(file.path).plugins == "plugins")
    try Data([0x61, 0xFF]).write(to: file)
    #expect(throws: ConfigurationError(problems: ["\(file.path): is no UTF-8"])) {
      try ConfigurationFile.read(file.path)
    }
    try Data(repeating: 0x23, count: 1 << 20 + 1).write(to: file)
    #expect(throws: ConfigurationError.self) { try ConfigurationFile.read(file.path) }
    let absent = folder.appending(path: "absent.toml").path
    #expect(throws: ConfigurationError(problems: ["\(absent): no such file"])) {
      try ConfigurationFile.read(absent)
    }
    #expect(throws: ConfigurationError.self) { try ConfigurationFile.read(folder.path) }
  }

  /// docs/configuration.md has every key there is, and no other, with the same default.
  @Test func `is as its documentation says`() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let text = try String(contentsOf: root.appending(path: "docs/configuration.md"), encoding: .utf8)
    var documented: [String: String] = [:]
    var section = ""
    for line in text.split(separator: "\n") {
      if let match = line.wholeMatch(of: /## `\[([a-z]+)\].*/) { section = String(match.1) }
      if let match = line.wholeMatch(of: /\| `([a-z_]+)` \|([^|]*)\|.*/) {
        documented["\(section).\(match.1)"] = match.2.filter { $0 != "`" && $0 != " " }
      }
    }
    documented["plugins.enabled"] = nil
    let known = Dictionary(
      uniqueKeysWithValues: ConfigurationKey.all.map { ($0.path, $0.standard ?? "") })
    #expect(documented == known)
    for block in text.matches(of: /```toml\n((?:[^`]|`[^`])*)```/) { _ = try parse(String(block.1)) }
  }
}
