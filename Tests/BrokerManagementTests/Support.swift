/// What the tests of BrokerManagement share: a control that says what it is told to say, and requests.

import BrokerCore
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import LuaRuntime
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import BrokerManagement
@testable import BrokerScripting

struct FakeControl: PluginControl {
  struct Broken: Error {}

  var all: [PluginReport] = []
  var kept: [ScriptSeries] = []
  var isBroken = false
  let explained = Asked()

  func reports() async throws -> [PluginReport] {
    if isBroken { throw Broken() }
    return all
  }

  func series() async throws -> [ScriptSeries] { kept }

  func generations() async throws -> [GenerationReport] {
    [
      GenerationReport(number: 1, time: 1000.5, cause: "start", isCurrent: false, plugins: [:]),
      GenerationReport(number: 2, time: 2000, cause: "files changed", isCurrent: true, plugins: ["a": "1f"]),
    ]
  }

  func reload() async throws -> ReloadReport {
    ReloadReport(generation: 3, changed: ["a"], removed: ["b"], problems: ["c": "c.lua:1: oh"])
  }

  func rollBack(to generation: Int) async throws -> ReloadReport {
    guard generation == 1 else { throw PluginControlError("no generation \(generation) is kept") }
    return ReloadReport(generation: 4, changed: ["a"], removed: [], problems: [:])
  }

  func explain(_ request: ExplainRequest) async throws -> ExplainReport {
    explained.put(request)
    guard request.exchange == "e" else {
      throw PluginControlError("no exchange '\(request.exchange)' in vhost '\(request.vhost)'")
    }
    return ExplainReport(
      steps: [.init(kind: "filter", name: "stamp", text: "Passed.")], queues: ["q"], outcome: "routed")
  }

  /// The last request.
  final class Asked: Sendable {
    private let request = Mutex<ExplainRequest?>(nil)
    var last: ExplainRequest? { request.withLock { $0 } }
    func put(_ new: ExplainRequest) { request.withLock { $0 = new } }
  }
}

extension PluginReport {
  static func sample(_ name: String, problem: String? = nil, usage: [HookUsage] = []) -> PluginReport {
    PluginReport(
      name: name, about: "about \(name)", path: "exchanges/\(name).lua", isInForce: problem == nil,
      isEnabled: true, hooks: ["exchange"], problem: problem, memoryBytes: 65_536,
      settings: ["most": .integer(3)], usage: usage)
  }
}

struct Answer {
  let status: Int
  let text: String
  let headers: HTTPFields

  var json: LuaValue { (try? JSON.value(text.utf8)) ?? .null }
  var reason: String? { if case .text(let text)? = json["reason"] { text } else { nil } }
  var error: String? { if case .text(let text)? = json["error"] { text } else { nil } }
}

/// A listener on a port of its own, and one client.
struct House {
  let client: any TestClientProtocol

  static let guest = "Basic " + Data("guest:guest".utf8).base64EncodedString()

  private static func login(_ name: String, _ tags: [String]) -> Management.Login {
    .init(
      Identity(name: name, tags: tags), from: PeerAddress(address: "127.0.0.1", port: 1, isLoopback: true))
  }

  static func run(_ control: FakeControl = FakeControl(), _ body: @Sendable (House) async throws -> Void)
    async throws
  {
    let management = Management(
      control: control, node: nil, version: "1.2.3",
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) { user, password, isLoopback in
      switch (user, password) {
      case ("guest", "guest"): isLoopback ? login("guest", ["administrator"]) : nil
      case ("eve", "e:v:e"): login("eve", ["monitoring"])
      default: nil
      }
    }
    try await management.application(on: MultiThreadedEventLoopGroup.singleton).test(.live) { client in
      try await body(House(client: client))
    }
  }

  func call(
    _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, login: String? = House.guest,
    headers more: HTTPFields = [:]
  ) async throws -> Answer {
    var headers = more
    headers[.authorization] = login
    let response = try await client.executeRequest(
      uri: path, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) })
    return Answer(
      status: response.status.code, text: String(buffer: response.body), headers: response.headers)
  }

  func get(_ path: String) async throws -> Answer { try await call(.get, path) }
  func post(_ path: String, _ body: String? = nil) async throws -> Answer {
    try await call(.post, path, body)
  }
}
