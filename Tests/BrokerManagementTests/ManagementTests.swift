/// The HTTP API, through a socket: each path, each refusal.

import Foundation
import HTTPTypes
import HummingbirdTesting
import Logging
import LuaRuntime
import NIOCore
import Testing

@testable import BrokerManagement
@testable import BrokerScripting

@Suite struct `The HTTP API` {
  private static func usage() -> HookUsage {
    var usage = HookUsage(hook: "exchange.route")
    usage.calls = 4
    usage.errors = 2
    usage.limitHits = 1
    usage.totalNanoseconds = 8000
    usage.counts[0] = 3
    usage.counts[2] = 1
    return usage
  }

  @Test func `lists plugins by name with all that is known of them`() async throws {
    let control = FakeControl(all: [
      .sample("b", problem: "b.lua:1: oh"), .sample("a", usage: [Self.usage()]),
    ])
    try await House.run(control) { house in
      let answer = try await house.get("/api/plugins")
      #expect(answer.status == 200)
      #expect(answer.headers[.contentType] == "application/json")
      guard case .list(let plugins) = answer.json else {
        Issue.record("no list: \(answer.text)")
        return
      }
      #expect(plugins.map { $0["name"] } == [.text("a"), .text("b")])
      #expect(
        plugins.first
          == .table([
            "name": .text("a"), "about": .text("about a"), "path": .text("exchanges/a.lua"),
            "in_force": .boolean(true), "enabled": .boolean(true), "hooks": .list([.text("exchange")]),
            "problem": .null, "memory_bytes": .integer(65_536), "settings": .table(["most": .integer(3)]),
            "usage": .list([
              .table([
                "hook": .text("exchange.route"), "calls": .integer(4), "errors": .integer(2),
                "limit_hits": .integer(1), "total_microseconds": .number(8), "mean_microseconds": .number(2),
                "p99_microseconds": .number(5),
              ])
            ]),
          ]))
      #expect(plugins.last?["problem"] == .text("b.lua:1: oh"))
      #expect(plugins.last?["in_force"] == .boolean(false))
    }
  }

  @Test func `tells of one plugin`() async throws {
    try await House.run(FakeControl(all: [.sample("a"), .sample("x y/z")])) { house in
      #expect(try await house.get("/api/plugins/a").json["name"] == .text("a"))
      #expect(try await house.get("/api/plugins/x%20y%2Fz").json["name"] == .text("x y/z"))
      let unknown = try await house.get("/api/plugins/c")
      #expect(unknown.status == 404)
      #expect(unknown.text == "{\"error\":\"Object Not Found\",\"reason\":\"no plugin 'c'\"}\n")
    }
  }

  @Test func `lists generations`() async throws {
    try await House.run { house in
      let answer = try await house.get("/api/plugins/generations")
      #expect(
        answer.text == """
          [{"cause":"start","current":false,"number":1,"plugins":{},"time":1000.5},\
          {"cause":"files changed","current":true,"number":2,"plugins":{"a":"1f"},"time":2000.0}]

          """)
    }
  }

  @Test func `reloads, and says what was refused`() async throws {
    try await House.run { house in
      for body in [nil, "", "{}"] {
        let answer = try await house.post("/api/plugins/reload", body)
        #expect(answer.status == 200)
        #expect(
          answer.text
            == "{\"changed\":[\"a\"],\"generation\":3,\"problems\":{\"c\":\"c.lua:1: oh\"},\"removed\":[\"b\"]}\n"
        )
      }
    }
  }

  @Test func `goes back to a generation that is kept`() async throws {
    try await House.run { house in
      let answer = try await house.post("/api/plugins/rollback", "{\"generation\": 1}")
      #expect(answer.status == 200)
      #expect(answer.json["generation"] == .integer(4))
      let unknown = try await house.post("/api/plugins/rollback", "{\"generation\": 9}")
      #expect(unknown.status == 404)
      #expect(unknown.error == "Object Not Found")
      #expect(unknown.reason == "no generation 9 is kept")
    }
  }

  @Test func `explains what would become of a message`() async throws {
    let control = FakeControl()
    try await House.run(control) { house in
      let answer = try await house.post(
        "/api/plugins/explain",
        """
        {"vhost": "/v", "exchange": "e", "routing_key": "k", "user": "anna", "payload": "aGk=",
         "payload_encoding": "base64", "headers": {"a": [1, 2.5, null, {"b": true}]},
         "properties": {"priority": 3, "content_type": "text/plain", "timestamp": 5}}
        """)
      #expect(answer.status == 200)
      #expect(
        answer.text == """
          {"outcome":"routed","queues":["q"],"steps":[{"kind":"filter","name":"stamp","text":"Passed."}]}

          """)
    }
    let request = try #require(control.explained.last)
    #expect(request.vhost == "/v" && request.exchange == "e" && request.routingKey == "k")
    #expect(request.user == "anna" && request.body == Array("hi".utf8))
    #expect(
      request.headers == ["a": .list([.integer(1), .number(2.5), .null, .table(["b": .boolean(true)])])])
    #expect(
      request.properties == [
        "priority": .integer(3), "content_type": .text("text/plain"), "timestamp": .integer(5),
      ])
  }

  @Test func `explains with defaults for all but the exchange`() async throws {
    let control = FakeControl()
    try await House.run(control) { house in
      #expect(
        try await house.post("/api/plugins/explain", "{\"exchange\":\"e\",\"payload\":\"é\"}").status == 200)
      let unknown = try await house.post("/api/plugins/explain", "{\"exchange\":\"f\"}")
      #expect(unknown.status == 404)
      #expect(unknown.reason == "no exchange 'f' in vhost '/'")
    }
    let request = try #require(control.explained.last)
    #expect(request.vhost == "/" && request.routingKey == "" && request.user == "guest")
  }

  @Test(arguments: [
    ("rollback", "", "body: no JSON: the end at octet 0, expected a value"),
    ("rollback", "{\"generation\": 1", "body: no JSON: the end at octet 16, expected ',' or '}'"),
    ("rollback", "[1]", "body: a list, expected an object"),
    ("rollback", "{}", "generation: missing, expected the number of a generation"),
    ("rollback", "{\"generation\": \"x\"}", "generation: 'x', expected an integer from 1 to 2147483647"),
    ("rollback", "{\"generation\": 1.5}", "generation: 1.5, expected an integer from 1 to 2147483647"),
    ("rollback", "{\"generation\": 0}", "generation: 0, expected an integer from 1 to 2147483647"),
    ("rollback", "{\"generation\": 1e99}", "generation: 1e+99, expected an integer from 1 to 2147483647"),
    ("rollback", "{\"generations\": 1}", "generations: unknown field; did you mean 'generation'?"),
    ("explain", "{}", "exchange: missing, expected the name of an exchange"),
    ("explain", "{\"exchange\": 1}", "exchange: 1, expected a string of at most 255 octets"),
    (
      "explain", "{\"exchange\":\"e\",\"vhost\":null}", "vhost: null, expected a string of at most 255 octets"
    ),
    (
      "explain", "{\"exchange\":\"e\",\"routing_key\":[]}",
      "routing_key: a list, expected a string of at most 255 octets"
    ),
    ("explain", "{\"exchange\":\"e\",\"headers\":[1]}", "headers: a list, expected an object"),
    ("explain", "{\"exchange\":\"e\",\"properties\":1}", "properties: 1, expected an object"),
    (
      "explain", "{\"exchange\":\"e\",\"properties\":{\"priority\":256}}",
      "properties.priority: 256, expected an integer from 0 to 255"
    ),
    (
      "explain", "{\"exchange\":\"e\",\"properties\":{\"type\":1}}",
      "properties.type: 1, expected a string of at most 255 octets"
    ),
    (
      "explain", "{\"exchange\":\"e\",\"properties\":{\"content-type\":\"a\"}}",
      "properties.content-type: unknown property; did you mean 'content_type'?"
    ),
    (
      "explain", "{\"exchange\":\"e\",\"properties\":{\"headers\":{}}}",
      "properties.headers: unknown property; headers stand beside properties"
    ),
    ("explain", "{\"exchange\":\"e\",\"payload\":{}}", "payload: a table, expected a string"),
    (
      "explain", "{\"exchange\":\"e\",\"payload_encoding\":\"hex\"}",
      "payload_encoding: 'hex', expected 'string' or 'base64'"
    ),
    (
      "explain", "{\"exchange\":\"e\",\"payload\":\"?\",\"payload_encoding\":\"base64\"}",
      "payload: '?', expected base64"
    ),
    (
      "explain", "{\"exchange\":\"e\",\"routingkey\":\"\"}",
      "routingkey: unknown field; did you mean 'routing_key'?"
    ),
  ]) func `names the field, its value and what was expected`(path: String, body: String, reason: String)
    async throws
  {
    try await House.run { house in
      let answer = try await house.post("/api/plugins/\(path)", body)
      #expect(answer.status == 400)
      #expect(answer.error == "bad_request")
      #expect(answer.reason == reason)
    }
  }

  @Test func `has bounds on names`() async throws {
    let long = String(repeating: "n", count: 256)
    try await House.run { house in
      let key = try await house.post("/api/plugins/explain", "{\"exchange\":\"\(long)\"}")
      #expect(key.status == 400)
      let header = try await house.post(
        "/api/plugins/explain", "{\"exchange\":\"e\",\"headers\":{\"\(long)\":1}}")
      #expect(header.reason?.hasSuffix("has 256 octets, expected at most 255") == true)
    }
  }

  // MARK: paths and methods

  @Test(arguments: ["/", "/api", "/api/plugin", "/api/plugins/a/b", "/metrics/x", "/API/plugins"])
  func `does not know other paths`(path: String) async throws {
    try await House.run { house in
      let answer = try await house.get(path)
      #expect(answer.status == 404)
      #expect(answer.text == "{\"error\":\"Object Not Found\",\"reason\":\"Not Found\"}\n")
    }
  }

  @Test func `refuses a path that cannot be read`() async throws {
    try await House.run { house in
      let answer = try await house.get("/api/plugins/%ff")
      #expect(answer.status == 400)
      #expect(answer.reason == "path: '%ff' is no percent-encoded UTF-8")
    }
  }

  @Test(arguments: [
    ("DELETE", "/api/plugins", "GET, HEAD"), ("POST", "/api/plugins/a", "GET, HEAD"),
    ("GET", "/api/plugins/reload", "POST"), ("PUT", "/api/plugins/explain", "POST"),
    ("POST", "/metrics", "GET, HEAD"),
  ]) func `refuses other methods and says which are right`(method: String, path: String, allowed: String)
    async throws
  {
    try await House.run { house in
      let answer = try await house.call(#require(HTTPRequest.Method(method)), path)
      #expect(answer.status == 405)
      #expect(answer.headers[.allow] == allowed)
      #expect(answer.reason == "\(method) is not for this path, expected \(allowed)")
    }
  }

  @Test func `answers HEAD as GET, without the body`() async throws {
    try await House.run { house in
      let answer = try await house.call(.head, "/api/plugins")
      #expect(answer.status == 200)
      #expect(answer.text.isEmpty)
    }
  }

  // MARK: logins

  @Test(arguments: [
    (nil, "Not_Authorized"), ("Basic", "Not_Authorized"), ("Basic ???", "Not_Authorized"),
    ("Bearer abc", "Not_Authorized"), ("Basic Z3Vlc3Q=", "Not_Authorized"),
    ("Basic Z3Vlc3Q6d3Jvbmc=", "Login failed"), ("Basic OnA=", "Login failed"),
    ("Basic ZXZlOmU6djpl", "Not administrator user"),
  ]) func `wants an administrator`(login: String?, reason: String) async throws {
    try await House.run { house in
      for (method, path) in [
        (HTTPRequest.Method.get, "/api/plugins"), (.get, "/api/plugins/a"),
        (.get, "/api/plugins/generations"),
        (.post, "/api/plugins/reload"), (.post, "/api/plugins/rollback"), (.post, "/api/plugins/explain"),
      ] {
        let answer = try await house.call(method, path, login: login)
        #expect(answer.status == 401)
        #expect(answer.headers[.wwwAuthenticate] == "Basic realm=\"RabbitMQ Management\"")
        #expect(answer.error == "not_authorized")
        #expect(answer.reason == reason)
      }
    }
  }

  @Test func `reads the scheme's name in any case, and colons in passwords`() throws {
    #expect(ManagementResponder.credentials(in: "bAsIc  ZXZlOmU6djpl")?.password == "e:v:e")
    let long = Data((String(repeating: "u", count: 256) + ":p").utf8).base64EncodedString()
    #expect(ManagementResponder.credentials(in: "Basic \(long)") == nil)
  }

  // MARK: bounds

  @Test func `takes bodies of 20 MiB, and no larger ones`() async throws {
    let fits = "{\"exchange\":\"e\",\"payload\":\"\(String(repeating: "x", count: (20 << 20) - 29))\"}"
    #expect(fits.utf8.count == 20 << 20)
    try await House.run { house in
      #expect(try await house.post("/api/plugins/explain", fits).status == 200)
      let answer = try await house.post("/api/plugins/explain", fits + " ")
      #expect(answer.status == 413)
      #expect(answer.reason == "body: expected at most 20971520 octets")
      #expect(try await house.get("/api/plugins").status == 200)
    }
  }

  @Test func `takes no endless headers`() async throws {
    let name = try #require(HTTPField.Name("x-long"))
    try await House.run { house in
      let answer = try await house.call(
        .get, "/api/plugins", headers: [name: String(repeating: "x", count: 17 << 10)])
      #expect(answer.status == 400)
    }
  }

  @Test func `tells nothing of its own mistakes`() async throws {
    try await House.run(FakeControl(isBroken: true)) { house in
      for path in ["/api/plugins", "/metrics"] {
        let answer = try await house.get(path)
        #expect(answer.status == 500)
        #expect(answer.text == "{\"error\":\"internal_error\",\"reason\":\"the log says why\"}\n")
      }
    }
  }

  // MARK: life

  private func management() -> Management {
    Management(
      control: FakeControl(), node: nil, version: "1",
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) { _, _, _ in nil }
  }

  @Test func `says which port the system chose, and gives it back`() async throws {
    let first = management()
    let port = try await first.start(host: "127.0.0.1", port: 0)
    #expect(port > 0)
    let second = management()
    await #expect(throws: (any Error).self) { try await second.start(host: "127.0.0.1", port: port) }
    await first.stop()
    #expect(try await second.start(host: "127.0.0.1", port: port) == port)
    await second.stop()
    await second.stop()
  }
}
