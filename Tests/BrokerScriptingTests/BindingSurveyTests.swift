/// What a new version of a script is given of what exists, while it changes.

import AMQPWire
import BrokerCore
import Testing

@testable import BrokerScripting

@Suite struct `A survey of bindings` {
  private let shop: Workshop

  init() throws {
    shop = try Workshop()
    try write(version: 1)
    shop.reload()
    try shop.declare("e", "x-t")
  }

  private func write(version: Int) throws {
    try shop.write(
      "exchanges/x-t.lua",
      "return { api = 1, exchange = { route = function(_, bindings) return bindings:all() end } } -- \(version)"
    )
  }

  private func unbind(_ queue: String) throws {
    try shop.vhost.unbind(
      source: try shop.vhost.exchange("e"), from: .queue(try shop.vhost.queue(ByteString(queue))), key: "",
      arguments: [:])
  }

  @Test(arguments: [1, 2, 7, 1000])
  func `takes turns, and what changes between them is put right at the switch`(bindingsATurn: Int) throws {
    for number in 0..<20 { try shop.bind("e", ByteString("q\(number)")) }
    try write(version: 2)
    let found = shop.loader.changes()
    let changes = try #require(found)
    let survey = BindingSurvey(of: shop.broker, types: ["x-t"], matchers: [], bindingsATurn: bindingsATurn)
    var turns = 1
    var snapshot = survey.advance()
    while snapshot == nil {
      // Of those that are taken already, and of those that are not.
      if turns < 8 {
        try unbind("q\(turns)")
        try unbind("q\(19 - turns)")
        try shop.bind("e", ByteString("new\(turns)"))
      }
      turns += 1
      snapshot = survey.advance()
    }
    #expect(turns >= 20 / bindingsATurn)
    changes.prepare(try #require(snapshot))
    #expect(shop.host.apply(changes).changed == ["x-t"])
    let bound = try shop.vhost.exchange("e").bindings.values.map { $0.destination.name.text }
    #expect(try shop.route("e") == bound.sorted())
  }

  @Test func `gives a script its bindings in the order in which they were made`() throws {
    for number in 0..<20 { try shop.bind("e", ByteString("q\(number)")) }
    try shop.write(
      "exchanges/x-t.lua",
      """
      local first
      return { api = 1, exchange = {
        bind = function(binding) first = first or binding.destination end,
        route = function() return queue(first) end,
      } }
      """)
    try shop.load()
    #expect(try shop.route("e") == ["q0"])
  }
}
