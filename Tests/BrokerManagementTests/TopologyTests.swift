/// RabbitMQ's paths, against a broker that runs: what is made, listed, changed and taken away.

import AMQPWire
import BrokerCore
import BrokerTestKit
import Foundation
import HTTPTypes
import HummingbirdTesting
import Logging
import LuaRuntime
import NIOCore
import NIOPosix
import Testing

@testable import BrokerManagement
@testable import BrokerServer

/// A broker with its API, and a client of each.
struct LiveHouse {
  let house: House
  let port: Int
  let server: BrokerServer.Server

  static func run(_ body: @escaping @Sendable (LiveHouse) async throws -> Void) async throws {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let server = try await Server { Broker(logger: logger) }
    let port = try await server.listen(host: "127.0.0.1", port: 0)?.port ?? 0
    let management = Management(
      control: FakeControl(), node: .init(server: server), version: "9", logger: logger
    ) { user, password, isLoopback in
      let peer = PeerAddress(address: "127.0.0.1", port: 1, isLoopback: isLoopback)
      guard let identity = try? await server.logIn(user: user, password: password, from: peer) else {
        return nil
      }
      return .init(identity, from: peer)
    }
    do {
      try await management.application(on: MultiThreadedEventLoopGroup.singleton).test(.live) { client in
        try await body(LiveHouse(house: House(client: client), port: port, server: server))
      }
    } catch {
      try await server.stop()
      throw error
    }
    try await server.stop()
  }

  static func login(_ user: String, _ password: String) -> String {
    "Basic " + Data("\(user):\(password)".utf8).base64EncodedString()
  }

  /// An AMQP client that has a channel.
  func amqp() async throws -> BrokerTestKit.TestClient {
    let client = BrokerTestKit.TestClient(line: try await TCPLine.open(port: port))
    try await client.logIn()
    try await client.openChannel()
    return client
  }
}

@Suite struct `RabbitMQ's HTTP API` {
  private typealias Step = (HTTPRequest.Method, String, String?, Int, String)

  /// Each step's status, and what its answer holds.
  private static func play(_ steps: [Step]) async throws {
    try await LiveHouse.run { live in
      for (method, path, body, status, part) in steps {
        let answer = try await live.house.call(method, "/api/" + path, body)
        #expect(answer.status == status, "\(method) \(path): \(answer.text)")
        #expect(part.isEmpty || answer.text.contains(part), "\(method) \(path): \(answer.text)")
      }
    }
  }

  @Test func `users come, change and go`() async throws {
    try await Self.play([
      (.put, "users/alice", "{\"password\":\"secret\",\"tags\":\"monitoring, x\"}", 201, ""),
      (.get, "users/alice", nil, 200, "\"tags\":[\"monitoring\",\"x\"]"),
      (.put, "users/alice", "{\"password\":\"other\",\"tags\":[\"management\"]}", 204, ""),
      (.put, "users/bob", "{\"password\":\"x\"}", 400, "tags_not_present"),
      (
        .put, "users/bob",
        "{\"password_hash\":\"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR\",\"tags\":\"\"}", 201, ""
      ),
      (
        .put, "users/carl", "{\"password_hash\":\"AAAA\",\"tags\":\"\"}", 400,
        "password_hash: no base64 of four"
      ),
      (.get, "users/without-permissions", nil, 200, "alice"),
      (.put, "user-limits/alice/max-channels", "{\"value\":5}", 204, ""),
      (.get, "user-limits", nil, 200, "{\"user\":\"alice\",\"value\":{\"max-channels\":5}}"),
      (.put, "user-limits/alice/max-queues", "{\"value\":5}", 400, "is no limit of users"),
      (.delete, "user-limits/alice/max-channels", nil, 204, ""),
      (.get, "users/nobody", nil, 404, "Object Not Found"),
      (.delete, "users/alice", nil, 204, ""), (.delete, "users/alice", nil, 404, ""),
      (.post, "users/bulk-delete", "{\"users\":[\"bob\",\"nobody\"]}", 204, ""),
      (.get, "users", nil, 200, "\"name\":\"guest\""),
    ])
  }

  @Test func `permissions and virtual hosts come, change and go`() async throws {
    try await Self.play([
      (.put, "vhosts/orders", "{\"description\":\"d\",\"tags\":\"a,b\"}", 201, ""),
      (.get, "vhosts", nil, 200, "\"description\":\"d\""),
      (
        .put, "vhosts/orders", "{\"default_queue_type\":\"nonsense\"}", 400,
        "default queue type 'nonsense' is unknown"
      ),
      (
        .put, "permissions/orders/guest", "{\"configure\":\".*\",\"write\":\".*\",\"read\":\"(\"}", 400,
        "'(' is no regular"
      ),
      (.put, "permissions/orders/guest", "{\"configure\":\".*\",\"write\":\".*\"}", 400, "read: missing"),
      (.put, "permissions/orders/guest", "{\"configure\":\".*\",\"write\":\".*\",\"read\":\".*\"}", 201, ""),
      (.put, "permissions/orders/guest", "{\"configure\":\".*\",\"write\":\".*\",\"read\":\".*\"}", 204, ""),
      (.put, "permissions/orders/nobody", "{\"configure\":\"\",\"write\":\"\",\"read\":\"\"}", 404, ""),
      (.get, "vhosts/orders/permissions", nil, 200, "\"user\":\"guest\""),
      (
        .put, "topic-permissions/orders/guest", "{\"exchange\":\"t\",\"write\":\"a\",\"read\":\"b\"}", 201, ""
      ),
      (.get, "topic-permissions/orders/guest", nil, 200, "\"exchange\":\"t\""),
      (.delete, "topic-permissions/orders/guest", nil, 204, ""),
      (.get, "topic-permissions/orders/guest", nil, 404, ""),
      (.put, "vhost-limits/orders/max-queues", "{\"value\":\"1\"}", 204, ""),
      (.put, "queues/orders/one", "{}", 201, ""),
      (.put, "queues/orders/two", "{}", 400, "queue limit in vhost 'orders' (1) is reached"),
      (.get, "vhost-limits/orders", nil, 200, "{\"max-queues\":1}"),
      (.delete, "permissions/orders/guest", nil, 204, ""),
      (.get, "queues/orders", nil, 401, "not authorised"),
      (.delete, "vhosts/orders", nil, 204, ""), (.get, "vhosts/orders", nil, 404, ""),
    ])
  }

  @Test func `exchanges, queues and bindings come, differ and go`() async throws {
    try await Self.play([
      (.put, "exchanges/%2F/x", "{\"type\":\"topic\"}", 201, ""),
      (.put, "exchanges/%2F/x", "{\"type\":\"topic\"}", 204, ""),
      (.put, "exchanges/%2F/x", "{\"type\":\"fanout\"}", 400, "inequivalent arg 'type'"),
      (.put, "exchanges/%2F/amq.mine", "{\"type\":\"fanout\"}", 401, "reserved prefix"),
      (.put, "queues/%2F/q", "{\"arguments\":{\"x-max-length\":3}}", 201, ""),
      (.put, "queues/%2F/q", "{\"arguments\":{\"x-max-length\":4}}", 400, "inequivalent arg 'x-max-length'"),
      (.get, "queues/%2F/q", nil, 200, "\"messages_ready\":0"),
      (.post, "bindings/%2F/e/x/q/q", "{\"routing_key\":\"a.#\"}", 201, ""),
      (.post, "bindings/%2F/e/x/q/nope", "{\"routing_key\":\"a.#\"}", 404, ""),
      (.get, "bindings/%2F/e/x/q/q", nil, 200, "\"properties_key\":\"a.%23\""),
      (.get, "bindings/%2F/e/x/q/q/a.%2523", nil, 200, "\"destination\":\"q\""),
      (.get, "queues/%2F/q/bindings", nil, 200, "\"routing_key\":\"a.#\""),
      (.get, "exchanges/%2F/x/bindings/source", nil, 200, "\"destination_type\":\"queue\""),
      (
        .post, "exchanges/%2F/x/publish", "{\"routing_key\":\"a.b\",\"payload\":\"m\",\"properties\":{}}",
        200, "{\"routed\":true}"
      ),
      (
        .post, "exchanges/%2F/x/publish", "{\"routing_key\":\"z\",\"payload\":\"m\",\"properties\":{}}", 200,
        "{\"routed\":false}"
      ),
      (
        .post, "exchanges/%2F/nope/publish", "{\"routing_key\":\"z\",\"payload\":\"m\"}", 400,
        "exchange_not_found"
      ),
      (
        .post, "queues/%2F/q/get", "{\"count\":2,\"ackmode\":\"ack_requeue_true\",\"encoding\":\"auto\"}",
        200, "\"payload\":\"m\""
      ),
      (
        .post, "queues/%2F/q/get", "{\"count\":2,\"ackmode\":\"perhaps\",\"encoding\":\"auto\"}", 400,
        "ackmode: 'perhaps'"
      ),
      (.get, "queues/%2F/q?columns=name,messages", nil, 200, "{\"messages\":1,\"name\":\"q\"}"),
      (.delete, "queues/%2F/q?if-empty=true", nil, 400, "not empty"),
      (.delete, "queues/%2F/q/contents", nil, 204, ""),
      (.delete, "bindings/%2F/e/x/q/q/a.%2523", nil, 204, ""),
      (.delete, "queues/%2F/q?if-empty=true", nil, 204, ""), (.delete, "queues/%2F/q", nil, 404, ""),
      (.delete, "exchanges/%2F/x", nil, 204, ""),
      (.delete, "exchanges/%2F/amq.topic", nil, 401, "system exchange"),
      (.get, "aliveness-test/%2F", nil, 200, "ok"), (.get, "health/checks/alarms", nil, 200, "ok"),
      (.get, "nodes/rabbit@localhost", nil, 200, "\"running\":true"), (.get, "nodes/other", nil, 404, ""),
      (.get, "overview", nil, 200, "\"rabbitmq_version\":\"3.13.7\""),
    ])
  }

  @Test func `policies come, are refused, and go`() async throws {
    try await Self.play([
      (
        .put, "policies/%2F/p",
        "{\"pattern\":\"^q\",\"definition\":{\"max-length\":2},\"apply-to\":\"queues\",\"priority\":3}", 201,
        ""
      ),
      (.put, "queues/%2F/q", "{}", 201, ""),
      (.get, "queues/%2F/q", nil, 200, "\"policy\":\"p\""),
      (
        .put, "policies/%2F/bad", "{\"pattern\":\"^q\",\"definition\":{\"nonsense\":2}}", 400,
        "are not recognised policy settings"
      ),
      (
        .put, "policies/%2F/bad", "{\"pattern\":\"^q\",\"definition\":{\"max-length\":2},\"apply-to\":\"x\"}",
        400, "apply-to 'x' unrecognised"
      ),
      (
        .put, "policies/%2F/bad", "{\"pattern\":\"(\",\"definition\":{\"max-length\":2}}", 400,
        "is no regular expression"
      ),
      (.put, "operator-policies/%2F/o", "{\"pattern\":\"^q\",\"definition\":{\"max-length\":1}}", 201, ""),
      (.get, "queues/%2F/q", nil, 200, "\"effective_policy_definition\":{\"max-length\":1}"),
      (.get, "policies", nil, 200, "\"apply-to\":\"queues\""),
      (.delete, "policies/%2F/p", nil, 204, ""), (.delete, "policies/%2F/p", nil, 404, ""),
    ])
  }

  @Test func `lists come in pages, by name and in order`() async throws {
    try await LiveHouse.run { live in
      for name in ["b1", "a2", "c3", "a1"] {
        #expect(try await live.house.call(.put, "/api/queues/%2F/\(name)", "{}").status == 201)
      }
      func names(_ query: String) async throws -> [String] {
        let answer = try await live.house.get("/api/queues?" + query)
        let items = answer.json["items"] ?? answer.json
        guard case .list(let list) = items else { return [answer.text] }
        return list.compactMap { $0["name"]?.text }
      }
      #expect(try await names("") == ["a1", "a2", "b1", "c3"])
      #expect(try await names("sort=name&sort_reverse=true") == ["c3", "b1", "a2", "a1"])
      #expect(try await names("page=2&page_size=3") == ["c3"])
      #expect(try await names("name=A") == ["a1", "a2"])
      #expect(try await names("name=%5E.1&use_regex=true") == ["a1", "b1"])
      #expect(try await live.house.get("/api/queues?page=3&page_size=3").status == 400)
      #expect(try await live.house.get("/api/queues?page=1&page_size=0").status == 400)
      #expect(try await live.house.get("/api/queues?name=(&use_regex=true").status == 400)
      let page = try await live.house.get("/api/queues?page=1&page_size=3&columns=name").json
      #expect(page["total_count"] == .integer(4) && page["page_count"] == .integer(2))
    }
  }

  @Test func `tags and permissions say who sees and does what`() async throws {
    try await LiveHouse.run { live in
      try await live.server.withBroker { broker in
        try broker.addVirtualHost("other")
        for (name, tag) in [("m", "management"), ("w", "monitoring"), ("p", "policymaker"), ("n", "none")] {
          try broker.users.add(
            User(name: ByteString(name), password: PasswordHash(of: "x"), tags: [tag]))
          try broker.users.permit(ByteString(name), in: "/", .everything)
        }
      }
      let policy = "{\"pattern\":\"^q\",\"definition\":{\"max-length\":2}}"
      let steps: [(String, HTTPRequest.Method, String, String?, Int)] = [
        ("m", .get, "whoami", nil, 200), ("n", .get, "whoami", nil, 401), ("n", .get, "auth/check", nil, 200),
        ("m", .get, "users", nil, 401), ("w", .get, "users", nil, 401), ("m", .get, "nodes", nil, 401),
        ("w", .get, "nodes", nil, 200), ("m", .put, "policies/%2F/p", policy, 401),
        ("p", .put, "policies/%2F/p", policy, 201), ("m", .get, "queues/other", nil, 401),
        ("m", .put, "queues/%2F/q", "{}", 201), ("p", .put, "vhosts/x", "{}", 401),
        ("m", .get, "connections", nil, 200),
      ]
      for (user, method, path, body, status) in steps {
        let answer = try await live.house.call(
          method, "/api/" + path, body, login: LiveHouse.login(user, "x"))
        #expect(answer.status == status, "\(user): \(method) \(path): \(answer.text)")
      }
      let seen = try await live.house.call(.get, "/api/vhosts?columns=name", login: LiveHouse.login("m", "x"))
      #expect(seen.text == "[{\"name\":\"/\"}]\n")
    }
  }

  @Test func `connections, channels and consumers are shown, and closed`() async throws {
    try await LiveHouse.run { live in
      let client = try await live.amqp()
      try await client.declareQueue("q")
      try await client.consume("q", tag: "me")
      let connections = try await live.house.get("/api/connections").json
      guard case .list(let list) = connections, list.count == 1, let name = list[0]["name"]?.text else {
        Issue.record("expected one connection: \(connections)")
        return
      }
      #expect(name.hasPrefix("127.0.0.1:") && name.hasSuffix(" -> 127.0.0.1:\(live.port)"))
      #expect(list[0]["user"] == .text("guest") && list[0]["channels"] == .integer(1))
      #expect(
        try await live.house.get("/api/channels?columns=number,consumer_count").text
          == "[{\"consumer_count\":1,\"number\":1}]\n")
      #expect(try await live.house.get("/api/consumers").text.contains("\"consumer_tag\":\"me\""))
      let path = name.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
      #expect(try await live.house.call(.delete, "/api/connections/\(path)").status == 204)
      let error = try await client.connectionError()
      #expect(error.code == 320 && error.text == "CONNECTION_FORCED - Closed via management plugin")
    }
  }

  @Test func `definitions that were exported make the same broker again`() async throws {
    try await LiveHouse.run { live in
      try await live.server.withBroker { broker in
        try broker.addVirtualHost("other", VirtualHostDefinition(description: "d"))
        try broker.limitVirtualHost("other", VirtualHostLimits(queues: 7))
        try broker.users.add(User(name: "alice", password: PasswordHash(of: "x"), tags: ["management"]))
        try broker.users.permit("alice", in: "other", .everything)
        try broker.users.permitTopics(
          "alice", in: "other", exchange: "t", TopicPermissions(write: "a", read: "b"))
        let vhost = try broker.virtualHost("other")
        try vhost.set(Policy(name: "p", pattern: "^q", definition: ["max-length": 2]))
        try vhost.set(
          Policy(name: "o", pattern: "^q", definition: ["expires": 9], kind: .operator), .operator)
        try vhost.declare(ExchangeDefinition(name: "x", type: "headers", durable: true))
        let queue = try vhost.declare(
          QueueDefinition(name: "q", durable: true, arguments: ["x-max-priority": 3]))
        try vhost.bind(
          source: try vhost.exchange("x"), to: .queue(queue), key: "k", arguments: ["x-match": "any", "a": 1])
        _ = try vhost.declare(QueueDefinition(name: "transient"))
      }
      let exported = try await live.house.get("/api/definitions")
      #expect(!exported.text.contains("transient"))
      try await live.server.withBroker { broker in
        try broker.removeVirtualHost("other")
        try broker.users.remove("alice")
      }
      #expect(try await live.house.call(.post, "/api/definitions", exported.text).status == 204)
      #expect(try await live.house.get("/api/definitions").text == exported.text)
      let one = try await live.house.get("/api/definitions/%2F")
      #expect(one.json["users"] == nil && one.status == 200)
      let wrong = try await live.house.call(.post, "/api/definitions", "{\"queues\":[{\"name\":5}]}")
      #expect(wrong.status == 400 && (wrong.reason ?? "").hasPrefix("vhost: missing"))
      #expect(try await live.house.call(.post, "/api/definitions", "{\"users\":5}").status == 400)
    }
  }

  @Test func `health checks look, and what cannot be checked is not there`() async throws {
    try await LiveHouse.run { live in
      let paths = [
        "ready-to-serve-clients", "is-in-service", "protocol-listener/amqp", "port-listener/\(live.port)",
      ]
      for path in paths { #expect(try await live.house.get("/api/health/checks/\(path)").status == 200) }
      try await live.server.suspend()
      for path in paths { #expect(try await live.house.get("/api/health/checks/\(path)").status == 503) }
      #expect(try await live.house.get("/api/health/checks/protocol-listener/http").status == 200)
      #expect(try await live.house.get("/api/health/checks/certificate-expiration/1/weeks").status == 404)
    }
  }
}
