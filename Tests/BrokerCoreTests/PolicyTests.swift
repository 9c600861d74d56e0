/// Policies: which is in force, and what it asks for together with arguments and an operator's bounds.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore

@Suite struct PolicyTests {
  private let core = Core()

  private func set(
    _ name: ByteString, _ pattern: String, _ definition: FieldTable, target: Policy.Target = .all,
    priority: Int64 = 0, _ kind: Policy.Kind = .user
  ) throws {
    try core.vhost.set(
      Policy(
        name: name, pattern: pattern, target: target, priority: priority, definition: definition, kind: kind),
      kind)
  }

  @Test func `of policies that match the one of the highest priority counts, alone`() throws {
    try set("low", "^q", ["max-length": 5, "expires": 1000])
    try set("high", "^q1", ["max-length": 7], priority: 3)
    try set("elsewhere", "^x", ["max-length": 1], priority: 9)
    let queue = try core.queue("q1")
    #expect(queue.policies.user?.name == "high")
    #expect(queue.rules.countMaximum == 7 && queue.rules.expiresMilliseconds == nil)
    try core.vhost.clearPolicy("high")
    #expect(queue.policies.user?.name == "low" && queue.rules.countMaximum == 5)
    try core.vhost.clearPolicy("low")
    #expect(queue.policies == PoliciesInForce() && queue.rules.countMaximum == .max)
    #expect(throws: Refusal(.missing, "policy 'low' in virtual host '/' does not exist")) {
      try core.vhost.clearPolicy("low")
    }
  }

  @Test func `a policy is for what it says, and for what knows all its keys`() throws {
    try set("queues", ".*", ["max-length": 5], target: .queues)
    try set("exchanges", ".*", ["alternate-exchange": "amq.fanout"], target: .exchanges)
    try set("quorum", ".*", ["max-length": 1], target: .quorumQueues, priority: 2)
    try set("unfit", ".*", ["delivery-limit": 1, "max-length": 1], priority: 3)
    let (queue, exchange) = (try core.queue("q"), try core.exchange("x"))
    #expect(queue.policies.user?.name == "queues")
    #expect(exchange.policies.user?.name == "unfit")
    try core.vhost.clearPolicy("unfit")
    #expect(exchange.policies.user?.name == "exchanges" && exchange.alternateExchange == "amq.fanout")
  }

  @Test func `of an argument and a policy the smaller number counts, else the argument`() throws {
    let arguments: FieldTable = [
      "x-max-length": 10, "x-message-ttl": 100, "x-dead-letter-exchange": "mine", "x-expires": 5000,
    ]
    let queue = try core.queue("q", arguments: arguments)
    try set(
      "p", "q",
      [
        "max-length": 20, "message-ttl": 50, "dead-letter-exchange": "theirs", "expires": 4000,
        "overflow": "reject-publish",
      ])
    #expect(queue.rules.countMaximum == 10 && queue.rules.timeToLiveMilliseconds == 50)
    #expect(queue.rules.deadLetterExchange == "mine" && queue.rules.expiresMilliseconds == 4000)
    #expect(queue.rules.refusesWhenFull)
    #expect(queue.arguments == arguments)
  }

  @Test func `of a user's and an operator's policy the smaller number counts, else the operator's`() throws {
    try set("user", "q", ["max-length": 20, "overflow": "drop-head", "dead-letter-exchange": "d"])
    try set("bound", "q", ["max-length": 30, "overflow": "reject-publish", "message-ttl": 9], .operator)
    let queue = try core.queue("q")
    #expect(
      queue.policies.definition
        == [
          "max-length": 20, "overflow": "reject-publish", "dead-letter-exchange": "d", "message-ttl": 9,
        ])
    try set("bound", "q", ["max-length": 10], .operator)
    #expect(queue.rules.countMaximum == 10 && !queue.rules.refusesWhenFull)
  }

  @Test func `a bound of length makes the first messages go at once, to the dead letters`() throws {
    let queue = try core.queue("q")
    let dead = try core.queue("dead")
    for number in 1...5 { try core.publish("\(number)", key: "q") }
    try set("p", "q", ["max-length": 2, "dead-letter-exchange": "", "dead-letter-routing-key": "dead"])
    core.broker.runLater()
    #expect(queue.readyCount == 2 && dead.readyCount == 3)
    #expect(Holder().get(queue)?.text == "4")
  }

  @Test func `a queue begins and ends to expire with a policy`() throws {
    guard let clock = core.broker.clock as? FakeClock else { return #expect(Bool(false)) }
    func wait(seconds: Double) {
      clock.advance(seconds: seconds)
      core.broker.deadlines.runDue()
    }
    try core.queue("q")
    wait(seconds: 100)
    try set("p", "q", ["expires": 5000])
    wait(seconds: 4)
    try core.vhost.clearPolicy("p")
    wait(seconds: 10)
    #expect(core.vhost.hasQueue("q"))
    try set("p", "q", ["expires": 5000])
    wait(seconds: 4)
    #expect(core.vhost.hasQueue("q"))
    wait(seconds: 2)
    #expect(!core.vhost.hasQueue("q"))
  }

  @Test func `messages that come after a policy have its time to live`() throws {
    guard let clock = core.broker.clock as? FakeClock else { return #expect(Bool(false)) }
    let queue = try core.queue("q")
    try set("p", "q", ["message-ttl": 1000])
    try core.publish("new", key: "q")
    clock.advance(seconds: 2)
    core.broker.deadlines.runDue()
    #expect(queue.readyCount == 0)
  }

  @Test func `an alternate exchange by policy takes what nothing matches`() throws {
    try core.exchange("x", "direct")
    try core.exchange("other")
    try core.queue("q")
    try core.bind("other", to: "q")
    #expect(try core.route("x", "k") == [])
    try set("ae", "^x$", ["alternate-exchange": "other"])
    #expect(try core.route("x", "k") == ["q"])
    try core.vhost.clearPolicy("ae")
    #expect(try core.route("x", "k") == [])
  }

  @Test func `what is no policy is refused with RabbitMQ's words`() {
    func text(_ definition: FieldTable, _ kind: Policy.Kind = .user) -> String {
      do throws(Refusal) {
        _ = try Policy(name: "p", pattern: "", definition: definition, kind: kind)
        return "fine"
      } catch {
        return error.text
      }
    }
    let cases: [(FieldTable, String)] = [
      ([:], "no policy provided"),
      (["bad": 1], "[{<<\"bad\">>,1}] are not recognised policy settings"),
      (["max-length": -1], "-1 is not a valid maximum length"),
      (["max-length": "x"], "<<\"x\">> is not a valid maximum length"),
      (["message-ttl": -5], "-5 is not a valid message TTL"),
      (["expires": 0], "0 is not a valid queue expiry"),
      (["overflow": "up"], "<<\"up\">> is not a valid overflow value"),
      (["queue-mode": "fast"], "<<\"fast\">> is not a valid queue-mode value"),
      (["max-age": "1 day"], "<<\"1 day\">> is not a valid max age"),
      (["alternate-exchange": 1], "1 is not a valid alternate exchange name"),
      (["dead-letter-exchange": 1], "1 is not a valid dead letter exchange name"),
      (["stream-filter-size-bytes": 5], "5 is not a valid filter size. Valid range is 16-255"),
    ]
    for (definition, expected) in cases {
      #expect(text(definition) == "Validation failed\n\n\(expected)\n")
    }
    #expect(text(["dead-letter-exchange": "d"], .operator).contains("are not recognised policy settings"))
    #expect(text(["max-age": "7D", "max-length-bytes": 9]) == "fine")
  }

  @Test func `a pattern may say what must not follow its beginning`() throws {
    try set("all", "^(?!amq\\.).*", ["max-length": 3])
    #expect(try core.queue("mine").rules.countMaximum == 3)
    let generated = try core.queue("amq.gen-1")
    #expect(generated.policies.user == nil)
    #expect(throws: Refusal.self) { try set("bad", "(", ["max-length": 1]) }
  }
}
