/// What publishers are told: confirms, returns, and transactions.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@testable import BrokerServer

/// An exchange type that refuses every message.
private final class Refusing: ExchangeType {
  let routesByKeyAlone = true
  func add(_ binding: Binding) {}
  func remove(_ binding: Binding) {}
  func route(_ message: Message, into destinations: Destinations) throws(ProtocolError) {
    guard message.routingKey.elementsEqual("yes".utf8) else {
      throw ProtocolError(.preconditionFailed, "not this one")
    }
  }
}

extension House {
  /// Declares the exchange "refuses", which takes only messages with the key "yes", and leads nowhere.
  fileprivate func addRefusingExchange(_ client: TestClient) async throws {
    try await inBroker { broker in
      try broker.install(exchangeType: "x-refusing") { _ in Refusing() }
    }
    try await client.call(
      ExchangeDeclare {
        $0.exchange = "refuses"
        $0.type = "x-refusing"
      }, ExchangeDeclareOk.self)
  }
}

extension TestClient {
  /// Confirms until that many messages are confirmed: what each method said.
  fileprivate func confirms(upTo last: UInt64, on channel: UInt16 = 1) async throws -> [String] {
    var said: [String] = []
    var told: UInt64 = 0
    while told < last {
      let (line, tag) = try await next("a confirm") { arrival -> (String, UInt64)? in
        guard case .method(let received) = arrival, received.channel == channel else { return nil }
        switch received.method {
        case let ack as BasicAck:
          return ("ack \(ack.deliveryTag)\(ack.multiple ? " multiple" : "")", ack.deliveryTag)
        case let nack as BasicNack:
          return ("nack \(nack.deliveryTag)\(nack.multiple ? " multiple" : "")", nack.deliveryTag)
        case is BasicReturn: return ("return", told)
        default: return nil
        }
      }
      said.append(line)
      told = tag
    }
    return said
  }

  /// Several publishes in one write, with the key of each.
  fileprivate func publishTogether(
    _ keys: [ByteString], to exchange: ByteString = "", mandatory: Bool = false
  ) async throws {
    var octets: [UInt8] = []
    for key in keys {
      let method = BasicPublish {
        $0.exchange = exchange
        $0.routingKey = key
        $0.mandatory = mandatory
      }
      octets += Octets.publish(method, body: key.bytes)
    }
    try await send(octets: octets)
  }
}

@Suite struct ConfirmTests {
  @Test(arguments: Depth.all)
  func `each message is confirmed, routed or not`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.publish("before", key: "q")
      try await client.call(ConfirmSelect(), ConfirmSelectOk.self)
      try await client.call(ConfirmSelect(), ConfirmSelectOk.self)
      for (number, key) in (["q", "nowhere", "q"] as [ByteString]).enumerated() {
        try await client.publish("m", key: key)
        #expect(try await client.confirms(upTo: UInt64(number) + 1) == ["ack \(number + 1)"])
      }
      #expect(try await client.messageCount("q") == 3)
    }
  }

  @Test(arguments: Depth.whole)
  func `a batch that is read at once is confirmed at once`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client(channels: [1, 2])
      try await client.declareQueue("q")
      try await client.call(ConfirmSelect(), ConfirmSelectOk.self)
      try await client.publishTogether([ByteString](repeating: "q", count: 50))
      let said = try await client.confirms(upTo: 50)
      if depth == .memory {
        #expect(said == ["ack 50 multiple"])
      } else {
        // How much is read at once is the system's to say, but it is never a confirm for each.
        #expect(said.count < 10 && said.last?.hasPrefix("ack 50") == true)
      }
      try await client.publishTogether(["q"])
      #expect(try await client.confirms(upTo: 51) == ["ack 51"])
    }
  }

  @Test func `each channel is told for itself`() async throws {
    try await Depth.memory.play { house in
      let client = try await house.client(channels: [1, 2, 3])
      for channel in [1, 2] as [UInt16] {
        try await client.call(ConfirmSelect(), on: channel, ConfirmSelectOk.self)
      }
      var octets: [UInt8] = []
      for channel in [1, 2, 3, 1, 1, 2, 3] as [UInt16] {
        octets += Octets.publish(BasicPublish { $0.routingKey = "x" }, channel: channel, body: [])
      }
      try await client.send(octets: octets)
      #expect(try await client.confirms(upTo: 3, on: 1) == ["ack 3 multiple"])
      #expect(try await client.confirms(upTo: 2, on: 2) == ["ack 2 multiple"])
      try await client.fence(3)
      #expect(client.waiting.isEmpty)
    }
  }

  @Test(arguments: Depth.all)
  func `what comes back comes before its confirm`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.call(ConfirmSelect(), ConfirmSelectOk.self)
      try await client.publish("lost", key: "nowhere", mandatory: true, properties: .init(headers: ["a": 1]))
      let (method, content) = try await client.next(BasicReturn.self)
      #expect(method.replyCode == 312 && method.replyText == "NO_ROUTE")
      #expect(method.exchange == "" && method.routingKey == "nowhere")
      #expect(content?.text == "lost" && content?.properties.headers == ["a": 1])
      #expect(try await client.confirms(upTo: 1) == ["ack 1"])
      let order = client.transcript.suffix(2).map { $0.hasPrefix("1 BasicReturn") }
      #expect(order == [true, false])
    }
  }

  @Test func `returns of a batch come before the confirm of the batch`() async throws {
    try await Depth.memory.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.call(ConfirmSelect(), ConfirmSelectOk.self)
      try await client.publishTogether(["q", "x", "q", "y"], mandatory: true)
      #expect(try await client.confirms(upTo: 4) == ["return", "return", "ack 4 multiple"])
    }
  }

  @Test func `a refused message is nacked, those before it are acked first`() async throws {
    try await Depth.memory.play { house in
      let client = try await house.client()
      try await house.addRefusingExchange(client)
      try await client.call(ConfirmSelect(), ConfirmSelectOk.self)
      try await client.publishTogether(["yes", "yes", "no", "no", "yes"], to: "refuses")
      #expect(try await client.confirms(upTo: 5) == ["ack 2 multiple", "nack 3", "nack 4", "ack 5"])
      try await client.publishTogether(["no", "yes", "yes", "no"], to: "refuses")
      #expect(try await client.confirms(upTo: 9) == ["nack 6", "ack 8 multiple", "nack 9"])
    }
  }

  @Test(arguments: Depth.all)
  func `without confirms a refused message comes back if that was asked for`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await house.addRefusingExchange(client)
      try await client.publish("silent", to: "refuses", key: "no")
      try await client.publish("loud", to: "refuses", key: "no", mandatory: true)
      let (method, content) = try await client.next(BasicReturn.self)
      #expect(method.replyCode == 406 && method.replyText == "PRECONDITION_FAILED - not this one")
      #expect(content?.text == "loud")
      try await client.fence()
      #expect(client.waiting.isEmpty)
    }
  }

  @Test(arguments: Depth.all)
  func `what was published before an error is confirmed before the close`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.call(ConfirmSelect(), ConfirmSelectOk.self)
      try await client.send(
        octets: Octets.publish(BasicPublish { $0.routingKey = "q" }, body: [1])
          + Octets.publish(BasicPublish { $0.exchange = "none" }, body: [1])
          + Octets.publish(BasicPublish { $0.routingKey = "q" }, body: [1]))
      #expect(try await client.confirms(upTo: 1) == ["ack 1"])
      #expect(try await client.channelError().code == 404)
      try await client.openChannel()
      #expect(try await client.messageCount("q") == 1)
    }
  }

  /// What a channel remembers of its last publish is forgotten with every change that matters.
  @Test(arguments: Depth.all)
  func `a repeated publish follows every change of the topology`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      func bind(_ queue: ByteString) async throws {
        try await client.declareQueue(queue)
        try await client.call(
          QueueBind {
            $0.queue = queue
            $0.exchange = "amq.direct"
            $0.routingKey = "k"
          }, QueueBindOk.self)
      }
      func publish() async throws {
        for _ in 0..<3 { try await client.publish("m", to: "amq.direct", key: "k", mandatory: true) }
        try await client.fence()
      }
      try await publish()
      try await bind("a")
      try await publish()
      try await bind("b")
      try await publish()
      try await client.call(
        QueueUnbind {
          $0.queue = "a"
          $0.exchange = "amq.direct"
          $0.routingKey = "k"
        }, QueueUnbindOk.self)
      try await publish()
      #expect(try await house.census("a")?.ready == 6)
      #expect(try await house.census("b")?.ready == 6)
      try await client.call(QueueDelete { $0.queue = "b" }, QueueDeleteOk.self)
      try await publish()
      #expect(client.transcript.count { $0.hasPrefix("1 BasicReturn") } == 6)
    }
  }
}

@Suite struct TransactionTests {
  @Test(arguments: Depth.all)
  func `publishes and acks take effect together, with the commit`(_ depth: Depth) async throws {
    try await depth.play { house in
      let (client, other) = (try await house.client(), try await house.client())
      try await client.declareQueue("in")
      try await client.declareQueue("out")
      for body in ["1", "2", "3"] { try await client.publish(body, key: "in") }
      try await client.call(TxSelect(), TxSelectOk.self)
      try await client.consume("in")
      _ = try await client.deliveries(3)
      try await client.ack(2, multiple: true)
      try await client.publish("done", key: "out")
      try await client.publish("lost", key: "nowhere", mandatory: true)
      try await client.fence()
      #expect(try await house.census("in") == Census(unsettled: 3, consumers: 1))
      #expect(try await other.messageCount("out") == 0)
      #expect(client.waiting.isEmpty, "nothing comes back before the commit")
      try await client.call(TxCommit(), TxCommitOk.self)
      #expect(try await client.next(BasicReturn.self).content?.text == "lost")
      #expect(try await house.census("in") == Census(unsettled: 1, consumers: 1))
      #expect(try await other.messageCount("out") == 1)
    }
  }

  @Test(arguments: Depth.all)
  func `a rollback drops the publishes, and what was acked is unacked and not delivered again`(
    _ depth: Depth
  ) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      for body in ["1", "2"] { try await client.publish(body, key: "q") }
      try await client.call(TxSelect(), TxSelectOk.self)
      try await client.consume("q")
      _ = try await client.deliveries(2)
      try await client.ack(1)
      try await client.send(
        BasicNack {
          $0.deliveryTag = 2
          $0.requeue = true
        })
      try await client.publish("3", key: "q")
      try await client.call(TxRollback(), TxRollbackOk.self)
      #expect(try await house.census("q") == Census(unsettled: 2, consumers: 1))
      try await client.ack(1)
      try await client.ack(2)
      try await client.call(TxCommit(), TxCommitOk.self)
      #expect(try await house.census("q") == Census(consumers: 1))
      #expect(client.waiting.isEmpty)
    }
  }

  @Test(arguments: Depth.all)
  func `a tag that a transaction has settled is unknown to it`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.publish("m", key: "q")
      try await client.call(TxSelect(), TxSelectOk.self)
      _ = try await client.get("q", noAck: false)
      try await client.ack(1)
      try await client.ack(1)
      #expect(try await client.channelError().text == "PRECONDITION_FAILED - unknown delivery tag 1")
      #expect(try await house.census("q") == Census(ready: 1), "an end is a rollback")
    }
  }

  @Test(arguments: Depth.all)
  func `a channel that ends within a transaction rolls it back`(_ depth: Depth) async throws {
    try await depth.play { house in
      let (client, other) = (try await house.client(), try await house.client())
      try await client.declareQueue("q")
      try await client.publish("old", key: "q")
      try await client.call(TxSelect(), TxSelectOk.self)
      _ = try await client.get("q", noAck: false)
      try await client.ack(1)
      try await client.publish("new", key: "q")
      try await client.closeChannel()
      let got = try await other.get("q")
      #expect(got?.content.text == "old" && got?.method.redelivered == true && got?.method.messageCount == 0)
    }
  }

  @Test(arguments: Depth.all)
  func `a commit with a refused message says so, and ends the channel`(_ depth: Depth) async throws {
    try await depth.play { house in
      let (client, other) = (try await house.client(), try await house.client())
      try await house.addRefusingExchange(client)
      try await client.declareQueue("q")
      try await client.call(TxSelect(), TxSelectOk.self)
      try await client.publish("taken", key: "q")
      try await client.publish("refused", to: "refuses", key: "no")
      try await client.send(TxCommit())
      let closed = try await client.channelError()
      #expect(closed.code == 406 && closed.text == "PRECONDITION_FAILED - partial tx completion")
      #expect(closed.method == TxCommit.id)
      #expect(try await other.messageCount("q") == 1)
    }
  }

  @Test(arguments: Depth.all)
  func `a transaction that holds more than it may ends its channel`(_ depth: Depth) async throws {
    var settings = Settings()
    settings.transactionMaximum = 100
    try await depth.play(settings) { house in
      let client = try await house.client(channels: [1, 2])
      try await client.declareQueue("q")
      try await client.call(TxSelect(), TxSelectOk.self)
      for _ in 0..<2 {
        try await client.publish([UInt8](repeating: 1, count: 50), key: "q")
        try await client.publish([UInt8](repeating: 1, count: 50), key: "q")
        try await client.call(TxCommit(), TxCommitOk.self)
      }
      try await client.publish([UInt8](repeating: 1, count: 100), key: "q")
      try await client.call(TxRollback(), TxRollbackOk.self)
      try await client.publish([UInt8](repeating: 1, count: 100), key: "q")
      try await client.publish([1], key: "q")
      let closed = try await client.channelError()
      #expect(closed.code == 406)
      #expect(closed.text == "PRECONDITION_FAILED - transaction of 101 octets is larger than max size 100")
      #expect(try await client.messageCount("q", on: 2) == 4)
    }
  }

  @Test(arguments: Depth.all)
  func `a queue that is gone at the commit gets nothing, and the publisher hears of it`(
    _ depth: Depth
  ) async throws {
    try await depth.play { house in
      let client = try await house.client(channels: [1, 2])
      try await client.declareQueue("q")
      try await client.call(TxSelect(), TxSelectOk.self)
      try await client.publish("m", key: "q", mandatory: true)
      try await client.call(QueueDelete { $0.queue = "q" }, on: 2, QueueDeleteOk.self)
      try await client.declareQueue("q", on: 2)
      try await client.call(TxCommit(), TxCommitOk.self)
      #expect(try await client.next(BasicReturn.self).method.replyCode == 312)
      #expect(try await client.messageCount("q") == 0, "a new queue of that name is another")
    }
  }

  @Test(arguments: Depth.all)
  func `a channel has confirms or transactions`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client(channels: [1, 2])
      try await client.call(TxSelect(), TxSelectOk.self)
      try await client.call(TxSelect(), TxSelectOk.self)
      try await client.send(ConfirmSelect())
      #expect(
        try await client.channelError().text == "PRECONDITION_FAILED - cannot switch from tx to confirm mode")
      try await client.call(ConfirmSelect(), on: 2, ConfirmSelectOk.self)
      try await client.send(TxSelect(), on: 2)
      #expect(
        try await client.channelError(on: 2).text
          == "PRECONDITION_FAILED - cannot switch from confirm to tx mode")
    }
  }
}

@Suite struct ConfirmsTests {
  /// A publisher that keeps what it has not heard of, as clients do, against messages that become safe in batches.
  @Test(arguments: 1...40) func `each message is told of once, and none before it is safe`(seed: Int) {
    var chance = Chance(seed: UInt64(seed))
    var confirms = Confirms()
    var open: [UInt64: UInt64] = [:]
    var refused: Set<UInt64> = []
    var ticket: UInt64 = 0
    var settled: UInt64 = 0
    func hear() {
      while let (upTo, multiple) = confirms.takeSettled(settled) {
        let told = open.filter { multiple ? $0.key <= upTo : $0.key == upTo }
        #expect(open[upTo] != nil, "seed \(seed): \(upTo) is told of and not open")
        #expect(told.values.allSatisfy { $0 <= settled }, "seed \(seed): told before it was safe")
        for number in told.keys { open[number] = nil }
      }
    }
    for _ in 0..<300 {
      switch chance.below(10) {
      case 0..<6:
        confirms.published += 1
        if chance.oneIn(2) {
          ticket += 1
          confirms.ticket = ticket
          open[confirms.published] = ticket
        } else {
          open[confirms.published] = 0
        }
      case 6:
        confirms.published += 1
        confirms.note(upTo: confirms.published - 1)
        hear()
        confirms.refuse(confirms.published)
        refused.insert(confirms.published)
      case 7: settled = min(ticket, settled + UInt64(chance.below(4)))
      default:
        confirms.note(upTo: confirms.published)
        hear()
      }
    }
    confirms.note(upTo: confirms.published)
    settled = ticket
    hear()
    #expect(open.isEmpty && confirms.nextTicket == nil, "seed \(seed): not told of \(open.keys.sorted())")
  }
}
