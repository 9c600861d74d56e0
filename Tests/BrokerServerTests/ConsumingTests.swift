/// Consumers, gets and settlements as a client sees them, and what a connection leaves behind when it goes.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@testable import BrokerServer

/// How a connection ends.
enum Ending: String, CaseIterable, Sendable {
  case closesInOrder, vanishes, closesItsChannel, breaksTheProtocol

  func play(_ client: TestClient) async throws {
    switch self {
    case .closesInOrder: try await client.call(ConnectionClose(), on: 0, ConnectionCloseOk.self)
    case .vanishes: await client.line.close()
    case .closesItsChannel: try await client.closeChannel()
    case .breaksTheProtocol: try await client.send(octets: Octets.frame(99))
    }
  }
}

@Suite struct ConsumingTests {
  private static func publish(_ client: TestClient, _ bodies: [String], key: ByteString = "q") async throws {
    for body in bodies { try await client.publish(body, key: key) }
  }

  @Test(arguments: Depth.all)
  func `a consumer gets what is there and what comes`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await Self.publish(client, ["1", "2"])
      let tag = try await client.consume("q", tag: "")
      #expect(tag.hasPrefix("amq.ctag-"))
      try await Self.publish(client, ["3"])
      let deliveries = try await client.deliveries(3)
      #expect(deliveries.map(\.text) == ["1", "2", "3"])
      #expect(deliveries.map(\.method.deliveryTag) == [1, 2, 3])
      #expect(deliveries.allSatisfy { $0.method.consumerTag == tag && !$0.method.redelivered })
      #expect(deliveries[0].method.exchange == "" && deliveries[0].method.routingKey == "q")
    }
  }

  @Test(arguments: Depth.all)
  func `qos limits consumers made after it, each for itself`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.call(BasicQos { $0.prefetchCount = 2 }, BasicQosOk.self)
      try await client.consume("q", tag: "a")
      try await client.call(BasicQos { $0.prefetchCount = 1 }, BasicQosOk.self)
      try await client.consume("q", tag: "b")
      try await Self.publish(client, ["1", "2", "3", "4", "5"])
      #expect(try await client.deliveries(3).map(\.text) == ["1", "2", "3"])
      try await client.fence()
      #expect(client.waiting.isEmpty)
      try await client.ack(3, multiple: true)
      #expect(try await client.deliveries(2).map(\.text) == ["4", "5"])
    }
  }

  @Test(arguments: Depth.all)
  func `a global limit is shared, over all queues of the channel`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.declareQueue("r")
      try await client.call(
        BasicQos {
          $0.prefetchCount = 2
          $0.global = true
        }, BasicQosOk.self)
      try await client.consume("q", tag: "a")
      try await client.consume("r", tag: "b")
      try await Self.publish(client, ["q1", "q2", "q3"])
      try await Self.publish(client, ["r1"], key: "r")
      #expect(try await client.deliveries(2).map(\.text) == ["q1", "q2"])
      try await client.fence()
      #expect(client.waiting.isEmpty)
      // Room that one queue's message made is room for the other's.
      try await client.ack(1)
      try await client.ack(2)
      #expect(try await client.deliveries(2).map(\.text).sorted() == ["q3", "r1"])
      try await client.call(BasicQos { $0.global = true }, BasicQosOk.self)
      try await Self.publish(client, ["q4", "q5", "q6"])
      #expect(try await client.deliveries(3).count == 3)
    }
  }

  @Test(arguments: Depth.all)
  func `with room for one message no queue of the channel is left behind`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.call(
        BasicQos {
          $0.prefetchCount = 1
          $0.global = true
        }, BasicQosOk.self)
      for queue in ["q", "r", "s"] as [ByteString] {
        try await client.declareQueue(queue)
        try await Self.publish(client, ["1", "2", "3", "4"], key: queue)
        try await client.consume(queue, tag: queue)
      }
      var served: [ByteString] = []
      for tag in 1...4 as ClosedRange<UInt64> {
        served += try await client.deliveries(1).map(\.method.consumerTag)
        try await client.ack(tag)
      }
      #expect(Set(served.suffix(3)).count == 3)
    }
  }

  @Test(arguments: Depth.all)
  func `a global limit that is reached stops those who acknowledge nothing, too`(_ depth: Depth) async throws
  {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.declareQueue("r")
      try await client.call(
        BasicQos {
          $0.prefetchCount = 1
          $0.global = true
        }, BasicQosOk.self)
      try await client.consume("r", tag: "careless") { $0.noAck = true }
      try await Self.publish(client, ["r1", "r2"], key: "r")
      #expect(try await client.deliveries(2).map(\.text) == ["r1", "r2"])
      try await client.consume("q", tag: "careful")
      try await Self.publish(client, ["q1"])
      #expect(try await client.deliveries(1).map(\.text) == ["q1"])
      try await Self.publish(client, ["r3"], key: "r")
      try await client.fence()
      #expect(client.waiting.isEmpty)
      try await client.ack(3)
      #expect(try await client.deliveries(1).map(\.text) == ["r3"])
    }
  }

  @Test(arguments: Depth.all)
  func `rejected, nacked and recovered messages come back to their places`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await Self.publish(client, ["1", "2", "3", "4"])
      for _ in 0..<4 { _ = try await client.get("q", noAck: false) }
      try await client.send(
        BasicReject {
          $0.deliveryTag = 3
          $0.requeue = true
        })
      try await client.send(BasicReject { $0.deliveryTag = 4 })
      try await client.send(
        BasicNack {
          $0.deliveryTag = 2
          $0.multiple = true
          $0.requeue = true
        })
      let again = [
        try await client.get("q", noAck: false), try await client.get("q", noAck: false),
        try await client.get("q", noAck: false),
      ]
      #expect(again.map { $0?.content.text } == ["1", "2", "3"])
      #expect(again.allSatisfy { $0?.method.redelivered == true })
      #expect(try await client.get("q") == nil)
      try await client.call(BasicRecover { $0.requeue = true }, BasicRecoverOk.self)
      #expect(try await client.messageCount("q") == 3)
      #expect(try await client.get("q")?.content.text == "1")
    }
  }

  @Test(arguments: Depth.all)
  func `a consumer that asks may hear that its queue is gone`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      let deaf = try await house.client(TestClient.Options { $0.capabilities = [:] })
      try await client.declareQueue("q")
      try await client.consume("q", tag: "c")
      try await deaf.consume("q", tag: "d")
      try await client.call(QueueDelete { $0.queue = "q" }, QueueDeleteOk.self)
      let cancel = try await client.next(BasicCancel.self).method
      #expect(cancel.consumerTag == "c" && cancel.noWait)
      try await client.send(BasicCancelOk { $0.consumerTag = "c" })
      try await client.fence()
      try await deaf.fence()
      #expect(deaf.waiting.isEmpty)
      // The tag is free again.
      try await client.declareQueue("q")
      try await client.consume("q", tag: "c")
    }
  }

  @Test(arguments: Depth.all)
  func `a queue in use, or not empty, is not deleted if that was asked for`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client(channels: [1, 2])
      try await client.declareQueue("q")
      try await client.consume("q", tag: "c")
      var ifUnused = QueueDelete { $0.queue = "q" }
      ifUnused.ifUnused = true
      try await client.send(ifUnused, on: 2)
      let closed = try await client.channelError(on: 2)
      #expect(closed.code == 406 && closed.text == "PRECONDITION_FAILED - queue 'q' in vhost '/' in use")
      try await client.openChannel(2)
      try await client.call(BasicCancel { $0.consumerTag = "c" }, BasicCancelOk.self)
      var ifEmpty = QueueDelete { $0.queue = "q" }
      ifEmpty.ifEmpty = true
      try await client.publish("m", key: "q")
      try await client.fence()
      try await client.send(ifEmpty, on: 2)
      #expect(try await client.channelError(on: 2).text.hasSuffix("queue 'q' in vhost '/' not empty"))
      #expect(try await client.call(ifUnused, QueueDeleteOk.self).messageCount == 1)
      #expect(
        try await client.call(ifEmpty, QueueDeleteOk.self).messageCount == 0, "a missing one is no error")
    }
  }

  @Test(arguments: Depth.all)
  func `a cancelled consumer gets nothing more and keeps what it has`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.consume("q", tag: "c")
      try await Self.publish(client, ["1"])
      _ = try await client.deliveries(1)
      #expect(
        try await client.call(BasicCancel { $0.consumerTag = "c" }, BasicCancelOk.self).consumerTag == "c")
      #expect(
        try await client.call(BasicCancel { $0.consumerTag = "c" }, BasicCancelOk.self).consumerTag == "c")
      try await Self.publish(client, ["2"])
      try await client.fence()
      #expect(try await house.census("q") == Census(ready: 1, unsettled: 1))
      try await client.ack(1)
      try await client.fence()
      #expect(try await house.census("q") == Census(ready: 1))
    }
  }

  @Test(arguments: Depth.all)
  func `methods without an answer have none`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.send(
        QueueDeclare {
          $0.queue = "q"
          $0.noWait = true
        })
      try await client.send(
        ExchangeDeclare {
          $0.exchange = "x"
          $0.type = "fanout"
          $0.noWait = true
        })
      try await client.send(
        QueueBind {
          $0.queue = "q"
          $0.exchange = "x"
          $0.noWait = true
        })
      try await client.send(
        ExchangeBind {
          $0.destination = "x"
          $0.source = "amq.fanout"
          $0.noWait = true
        })
      try await client.send(
        BasicConsume {
          $0.queue = "q"
          $0.consumerTag = "c"
          $0.noWait = true
        })
      try await client.publish("m", to: "amq.fanout", key: "")
      #expect(try await client.deliveries(1)[0].text == "m")
      try await client.send(
        BasicCancel {
          $0.consumerTag = "c"
          $0.noWait = true
        })
      try await client.send(
        QueuePurge {
          $0.queue = "q"
          $0.noWait = true
        })
      try await client.send(
        ExchangeUnbind {
          $0.destination = "x"
          $0.source = "amq.fanout"
          $0.noWait = true
        })
      try await client.send(
        ExchangeDelete {
          $0.exchange = "x"
          $0.noWait = true
        })
      try await client.send(
        QueueDelete {
          $0.queue = "q"
          $0.noWait = true
        })
      try await client.send(ConfirmSelect { $0.noWait = true })
      try await client.fence()
      #expect(client.waiting.isEmpty)
      #expect(try await house.census("q") == nil)
    }
  }

  @Test(arguments: Depth.all)
  func `replies come back directly to the channel that asked`(_ depth: Depth) async throws {
    try await depth.play { house in
      let (client, server) = (try await house.client(), try await house.client())
      try await server.declareQueue("work")
      try await server.consume("work", noAck: true)
      try await client.consume("amq.rabbitmq.reply-to", tag: "replies", noAck: true)
      var properties = BasicProperties()
      properties.replyTo = "amq.rabbitmq.reply-to"
      try await client.publish("ask", key: "work", properties: properties)
      let request = try await server.deliveries(1)[0]
      let address = request.content.properties.replyTo ?? ""
      #expect(address.hasPrefix("amq.rabbitmq.reply-to.") && address != "amq.rabbitmq.reply-to")
      #expect(try await server.declareQueue(address) { $0.passive = true }.consumerCount == 1)
      try await server.publish("answer", key: address)
      let reply = try await client.deliveries(1)[0]
      #expect(reply.text == "answer" && reply.method.consumerTag == "replies")
      try await client.closeChannel()
      try await server.publish("late", key: address, mandatory: true)
      #expect(try await server.next(BasicReturn.self).method.replyCode == 312)
    }
  }

  // MARK: what a connection leaves behind

  @Test(arguments: Depth.all, Ending.allCases)
  func `what was not acknowledged comes back, in its order`(_ depth: Depth, _ ending: Ending) async throws {
    try await depth.play { house in
      let (client, other) = (try await house.client(), try await house.client())
      try await other.declareQueue("q")
      try await Self.publish(other, ["1", "2", "3", "4"])
      try await other.fence()
      try await client.consume("q")
      _ = try await client.deliveries(4)
      try await client.ack(2)
      try await client.fence()
      #expect(try await house.census("q") == Census(unsettled: 3, consumers: 1))
      try await ending.play(client)
      try await house.eventually("all came back") { $0.census("q") == Census(ready: 3) }
      try await other.consume("q")
      let deliveries = try await other.deliveries(3)
      #expect(deliveries.map(\.text) == ["1", "3", "4"])
      #expect(deliveries.map(\.method.redelivered) == [true, true, true])
    }
  }

  @Test(arguments: Depth.all)
  func `what comes back goes to another consumer before what came later`(_ depth: Depth) async throws {
    try await depth.play { house in
      let (first, second) = (try await house.client(), try await house.client())
      try await first.declareQueue("q")
      for client in [first, second] {
        try await client.call(BasicQos { $0.prefetchCount = 1 }, BasicQosOk.self)
        try await client.consume("q")
      }
      try await Self.publish(first, ["1", "2", "3"])
      _ = try await first.deliveries(1)
      #expect(try await second.deliveries(1)[0].text == "2")
      try await first.logOut()
      try await second.ack(1)
      #expect(try await second.deliveries(1)[0].text == "1")
      try await second.ack(2)
      #expect(try await second.deliveries(1)[0].text == "3")
    }
  }

  @Test(arguments: Depth.all, [Ending.closesInOrder, .vanishes, .breaksTheProtocol])
  func `exclusive queues go with their connection, and their bindings too`(
    _ depth: Depth, _ ending: Ending
  ) async throws {
    try await depth.play { house in
      let (client, other) = (try await house.client(channels: [1, 2]), try await house.client())
      let name = try await client.declareQueue("") { $0.exclusive = true }.queue
      #expect(name.hasPrefix("amq.gen-"))
      try await client.declareQueue("mine", on: 2) { $0.exclusive = true }
      try await client.call(
        QueueBind {
          $0.queue = "mine"
          $0.exchange = "amq.fanout"
        }, QueueBindOk.self)
      for queue in [name, "mine"] {
        try await other.send(
          QueueDeclare {
            $0.queue = queue
            $0.passive = true
          })
        #expect(try await other.channelError().code == 405)
        try await other.openChannel()
      }
      try await client.closeChannel(2)
      #expect(try await client.messageCount("mine") == 0, "it is the connection's and not the channel's")
      try await ending.play(client)
      try await house.eventually("both are gone") { $0.census(name) == nil && $0.census("mine") == nil }
      try await other.publish("m", to: "amq.fanout", key: "", mandatory: true)
      #expect(try await other.next(BasicReturn.self).method.replyCode == 312)
      try await other.declareQueue("mine") { $0.exclusive = true }
    }
  }

  @Test(arguments: Depth.all, [Ending.closesInOrder, .vanishes, .closesItsChannel])
  func `an auto-delete queue goes with the channel of its last consumer`(
    _ depth: Depth, _ ending: Ending
  ) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q") { $0.autoDelete = true }
      try await client.consume("q")
      try await ending.play(client)
      try await house.eventually("it is gone") { $0.census("q") == nil }
    }
  }

  /// In memory only, where the connection can be reached.
  @Test(arguments: Ending.allCases)
  func `a connection that has ended is freed, with its channels`(_ ending: Ending) async throws {
    try await Depth.memory.play { house in
      weak var connection: ClientConnection?
      weak var channel: ClientChannel?
      do {
        let client = try await house.client(channels: [1, 2])
        try await client.declareQueue("q")
        try await client.declareQueue("mine") { $0.exclusive = true }
        try await client.call(TxSelect(), on: 2, TxSelectOk.self)
        for number in [1, 2] as [UInt16] {
          try await client.consume("q", on: number)
          try await client.publish("m", key: "q", on: number)
        }
        _ = try await client.deliveries(1)
        try await client.ack(1)
        try await client.publish("m", key: "q")
        connection = (client.line as? MemoryLine)?.connection
        channel = connection?.channels[1]
        #expect(connection != nil && channel != nil)
        try await ending.play(client)
        #expect(channel == nil)
        await client.line.close()
      }
      #expect(connection == nil)
    }
  }

  @Test(arguments: Depth.all)
  func `a connection may declare and delete many exclusive queues`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      for number in 0..<200 {
        try await client.declareQueue(ByteString("q\(number)")) {
          $0.exclusive = true
          $0.noWait = false
        }
        if number % 3 != 0 {
          try await client.call(QueueDelete { $0.queue = ByteString("q\(number)") }, QueueDeleteOk.self)
        }
      }
      #expect(try await house.inBroker { $0.vhosts["/"]?.queues.count } == 67)
      try await client.logOut()
      try await house.eventually("all are gone") { $0.vhosts["/"]?.queues.isEmpty == true }
    }
  }
}
