/// What the tests of LuaRuntime share.

import Foundation
import LuaRuntime
import Testing

func interpreter(memoryBytes: Int = 16 << 20, host: (any LuaHost)? = nil) throws -> LuaInterpreter {
  try #require(LuaInterpreter(limits: LuaLimits(memoryBytes: memoryBytes, seed: 1), host: host))
}

func failure(_ body: () throws -> Void) -> LuaError? {
  do {
    try body()
    return nil
  } catch { return error as? LuaError }
}

/// A message whose bytes live as long as the call.
struct Letter {
  var key = "orders.eu"
  var headers: [String: LuaValue] = [:]
  var body = "body"
  /// Flags of further properties, and their bytes after the headers.
  var flags: UInt16 = 0
  var properties: [UInt8] = []

  func withMessage<Result>(_ body: (inout LuaMessage) throws -> Result) rethrows -> Result {
    let table = LuaValueCodec.tableContent(headers)
    var block: [UInt8] = [UInt8((flags | 0x2000) >> 8), UInt8(flags & 0xFF)]
    block += withUnsafeBytes(of: UInt32(table.count).bigEndian) { Array($0) } + table + properties
    return try block.withUnsafeBytes { block in
      try Array(key.utf8).withUnsafeBytes { key in
        try Array(self.body.utf8).withUnsafeBytes { text in
          var message = LuaMessage()
          message.properties = LuaBytes(block)
          message.routing_key = LuaBytes(key)
          message.body = LuaBytes(text)
          message.delayed_milliseconds = -1
          return try body(&message)
        }
      }
    }
  }
}

/// One exchange of a plugin whose `route` is the given text, with queues named by their keys.
struct Fixture {
  let lua: LuaInterpreter
  let routes: LuaRoutes
  var names: [UInt64: String] = [:]

  init(route: String, more: String = "", keys: [String] = [], host: (any LuaHost)? = nil) throws {
    lua = try interpreter(host: host)
    let source = "return { exchange = { \(more) route = function(message, bindings, index) \(route) end } }"
    _ = try lua.evaluate(source, path: "x-test.lua")
    routes = try LuaRoutes(lua, definition: LuaValueCodec.tableContent(["name": .text("x")]))
    for key in keys { try bind(key) }
  }

  mutating func bind(_ key: String, arguments: [String: LuaValue] = [:]) throws {
    let id = UInt64(names.count + 1)
    try routes.bind(
      LuaBinding(
        id: id, key: Array(key.utf8), destination: Array("q-\(key)".utf8), toExchange: false,
        arguments: LuaValueCodec.tableContent(arguments)))
    names[id] = key
  }

  /// Keys of the bindings it went to, queue names with an `@`, or the verdict.
  func route(_ letter: Letter = Letter(), budget: LuaBudget = .hook) throws -> [String] {
    try letter.withMessage { message in
      switch try routes.route(&message, budget: budget) {
      case .routed(let ids, let queues):
        ids.map { names[$0] ?? "?" }.sorted()
          + queues.map { "@" + String(decoding: $0.buffer, as: UTF8.self) }
      case .denied(let text): ["denied: " + String(decoding: text.buffer, as: UTF8.self)]
      case .dropped(let text): ["dropped: " + String(decoding: text.buffer, as: UTF8.self)]
      case .delayed(let milliseconds, let change):
        [
          "delayed: \(milliseconds)"
            + (change.count == 0 ? "" : " \(canonical(.table(LuaValueCodec.table(change.buffer) ?? [:])))")
        ]
      }
    }
  }
}
