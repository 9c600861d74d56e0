/// Channels: how many there may be, what ends one and leaves the others, and how a number is used again.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

struct ChannelErrorCase: Sendable, CustomTestStringConvertible {
  let name: String
  let octets: [UInt8]
  let code: UInt16
  let text: String
  let method: MethodID
  var testDescription: String { name }

  init(_ name: String, _ octets: [UInt8], _ code: UInt16, _ text: String, _ method: MethodID) {
    self.name = name
    self.octets = octets
    self.code = code
    self.text = text
    self.method = method
  }

  init<Sent: Method>(_ name: String, _ sent: Sent, _ code: UInt16, _ text: String) {
    self.init(name, Octets.method(sent), code, text, Sent.id)
  }

  private static func publish(
    _ name: String, _ code: UInt16, _ text: String, _ properties: BasicProperties = .init(),
    _ fill: (inout BasicPublish) -> Void = { _ in }
  ) -> ChannelErrorCase {
    ChannelErrorCase(
      name, Octets.publish(BasicPublish(fill), properties: properties, body: [1]), code, text, BasicPublish.id
    )
  }

  private static func properties(_ fill: (inout BasicProperties) -> Void) -> BasicProperties {
    var properties = BasicProperties()
    fill(&properties)
    return properties
  }

  /// "there" is a queue, "x" an exchange, and "locked" a queue of another connection.
  static let all = publishing + consuming + declaring

  private static let publishing: [ChannelErrorCase] = [
    publish("publish to no exchange", 404, "NOT_FOUND - no exchange 'none' in vhost '/'") {
      $0.exchange = "none"
    },
    publish(
      "publish to an internal exchange", 403,
      "ACCESS_REFUSED - cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '/'"
    ) { $0.exchange = "amq.rabbitmq.trace" },
    publish(
      "another's user id", 406,
      "PRECONDITION_FAILED - user_id property set to 'root' but authenticated user was 'guest'",
      properties { $0.userID = "root" }),
    publish(
      "an expiration of letters", 406, "PRECONDITION_FAILED - invalid expiration 'soon': no_integer",
      properties { $0.expiration = "soon" }),
    publish(
      "an expiration with more behind it", 406,
      "PRECONDITION_FAILED - invalid expiration '60s': {leftover_string,\"s\"}",
      properties { $0.expiration = "60s" }),
    publish(
      "an expiration below zero", 406, "PRECONDITION_FAILED - invalid expiration '-1': {value_negative,-1}",
      properties { $0.expiration = "-1" }),
    publish(
      "an expiration beyond ten years", 406,
      "PRECONDITION_FAILED - invalid expiration '315360000001': {value_too_large,315360000001}",
      properties { $0.expiration = "315360000001" }),
    publish(
      "a CC that is no list", 406,
      "PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,\"CC\",longstr}",
      .init(headers: ["CC": "there"])),
  ]

  private static let consuming: [ChannelErrorCase] = [
    ChannelErrorCase(
      "consume from no queue", BasicConsume { $0.queue = "none" }, 404,
      "NOT_FOUND - no queue 'none' in vhost '/'"),
    ChannelErrorCase(
      "consume from another's queue", BasicConsume { $0.queue = "locked" }, 405,
      "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'locked' in vhost '/'. It could be "
        + "originally declared on another connection or the exclusive property value does not match that of "
        + "the original declaration."),
    ChannelErrorCase(
      "consume with a priority of letters",
      BasicConsume {
        $0.queue = "there"
        $0.arguments = ["x-priority": "high"]
      }, 406,
      "PRECONDITION_FAILED - invalid arg 'x-priority' for queue 'there' in vhost '/': \"expected integer, "
        + "got longstr\""
    ),
    ChannelErrorCase(
      "get from no queue", BasicGet { $0.queue = "none" }, 404, "NOT_FOUND - no queue 'none' in vhost '/'"),
    ChannelErrorCase(
      "get with no name and no queue declared", BasicGet(), 404, "NOT_FOUND - no previously declared queue"),
    ChannelErrorCase(
      "ack of nothing", BasicAck { $0.deliveryTag = 7 }, 406, "PRECONDITION_FAILED - unknown delivery tag 7"),
    ChannelErrorCase(
      "nack of nothing", BasicNack { $0.deliveryTag = .max }, 406,
      "PRECONDITION_FAILED - unknown delivery tag 18446744073709551615"),
    ChannelErrorCase("reject of nothing", BasicReject(), 406, "PRECONDITION_FAILED - unknown delivery tag 0"),
    ChannelErrorCase(
      "commit of nothing", TxCommit(), 406, "PRECONDITION_FAILED - channel is not transactional"),
    ChannelErrorCase(
      "rollback of nothing", TxRollback(), 406, "PRECONDITION_FAILED - channel is not transactional"),
  ]

  private static let declaring: [ChannelErrorCase] = [
    ChannelErrorCase(
      "unbind another's queue",
      QueueUnbind {
        $0.queue = "locked"
        $0.exchange = "amq.direct"
      }, 405,
      "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'locked' in vhost '/'. It could be "
        + "originally declared on another connection or the exclusive property value does not match that of "
        + "the original declaration."),
    ChannelErrorCase(
      "a reserved queue name", QueueDeclare { $0.queue = "amq.mine" }, 403,
      "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'"),
    ChannelErrorCase(
      "a queue that is not there",
      QueueDeclare {
        $0.queue = "none"
        $0.passive = true
      }, 404, "NOT_FOUND - no queue 'none' in vhost '/'"),
    ChannelErrorCase(
      "a queue declared otherwise",
      QueueDeclare {
        $0.queue = "there"
        $0.durable = true
      }, 406,
      "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'there' in vhost '/': received 'true' but "
        + "current is 'false'"),
    ChannelErrorCase(
      "a reserved exchange name",
      ExchangeDeclare {
        $0.exchange = "amq.mine"
        $0.type = "fanout"
      }, 403, "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'"),
    ChannelErrorCase(
      "the default exchange declared", ExchangeDeclare { $0.type = "direct" }, 403,
      "ACCESS_REFUSED - operation not permitted on the default exchange"),
    ChannelErrorCase(
      "the default exchange deleted", ExchangeDelete(), 403,
      "ACCESS_REFUSED - operation not permitted on the default exchange"),
    ChannelErrorCase(
      "a system exchange deleted", ExchangeDelete { $0.exchange = "amq.topic" }, 403,
      "ACCESS_REFUSED - deletion of system exchange 'amq.topic' in vhost '/' not allowed"),
    ChannelErrorCase(
      "an exchange of an unknown type",
      ExchangeDeclare {
        $0.exchange = "y"
        $0.type = "what"
      }, 406, "PRECONDITION_FAILED - unknown exchange type 'what'"),
    ChannelErrorCase(
      "a binding from the default exchange", QueueBind { $0.queue = "there" }, 403,
      "ACCESS_REFUSED - operation not permitted on the default exchange"),
    ChannelErrorCase(
      "a binding from no exchange",
      QueueBind {
        $0.queue = "there"
        $0.exchange = "none"
      }, 404, "NOT_FOUND - no exchange 'none' in vhost '/'"),
    ChannelErrorCase(
      "a binding to a reply address",
      QueueBind {
        $0.queue = "amq.rabbitmq.reply-to.g1.x"
        $0.exchange = "x"
      }, 403, "ACCESS_REFUSED - cannot bind or unbind to a volatile (direct reply-to) queue"),
    ChannelErrorCase(
      "a binding to no exchange",
      ExchangeBind {
        $0.source = "x"
        $0.destination = "none"
      }, 404, "NOT_FOUND - no exchange 'none' in vhost '/'"),
    ChannelErrorCase(
      "a queue that is not empty deleted",
      QueueDelete {
        $0.queue = "there"
        $0.ifEmpty = true
      }, 406, "PRECONDITION_FAILED - queue 'there' in vhost '/' not empty"),
    ChannelErrorCase(
      "a purge of no queue", QueuePurge { $0.queue = "none" }, 404, "NOT_FOUND - no queue 'none' in vhost '/'"
    ),
  ]
}

@Suite struct ChannelTests {
  @Test(arguments: Depth.all, ChannelErrorCase.all)
  func `an error ends its channel and leaves the others working`(
    _ depth: Depth, _ table: ChannelErrorCase
  ) async throws {
    try await depth.play { house in
      let owner = try await house.client()
      try await owner.declareQueue("locked") { $0.exclusive = true }
      try await owner.call(
        QueueBind {
          $0.queue = "locked"
          $0.exchange = "amq.direct"
        }, QueueBindOk.self)
      try await owner.declareQueue("there")
      try await owner.publish("m", key: "there")
      try await owner.call(
        ExchangeDeclare {
          $0.exchange = "x"
          $0.type = "fanout"
        }, ExchangeDeclareOk.self)
      let client = try await house.client(channels: [1, 2])
      try await client.consume("there", tag: "c", on: 2)
      #expect(try await client.deliveries(1, on: 2)[0].text == "m")
      try await owner.publish("again", key: "there")
      _ = try await client.deliveries(1, on: 2)
      try await client.send(
        BasicNack {
          $0.deliveryTag = 2
          $0.requeue = false
        }, on: 2)
      try await client.call(BasicCancel { $0.consumerTag = "c" }, on: 2, BasicCancelOk.self)
      try await client.send(
        BasicReject {
          $0.deliveryTag = 1
          $0.requeue = true
        }, on: 2)
      try await client.fence(2)

      try await client.send(octets: table.octets)
      let closed = try await client.channelError()
      #expect(closed.code == table.code && closed.text == table.text, "\(closed)")
      #expect(closed.method == table.method)
      #expect(try await client.get("there", on: 2)?.content.text == "m")
      try await client.openChannel(1)
      try await client.fence(1)
      try await owner.fence()
    }
  }

  @Test(arguments: Depth.all)
  func `a channel that is closing ignores everything but the answer`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client(channels: [1, 2])
      try await client.send(
        QueueDeclare {
          $0.queue = "none"
          $0.passive = true
        })
      try await client.send(QueueDeclare { $0.queue = "late" })
      try await client.publish("m", key: "late", mandatory: true)
      try await client.send(octets: Octets.header(bodySize: 5) + Octets.body([1]) + Octets.frame(1, [0]))
      try await client.send(octets: Octets.method(BasicPublish()))
      #expect(try await client.channelError().code == 404)
      try await client.openChannel(1)
      await #expect(throws: TestClient.Closed.self) { try await client.messageCount("late") }
      try await client.fence(2)
    }
  }

  @Test(arguments: Depth.all)
  func `channel closes that cross are both answered`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.send(
        QueueDeclare {
          $0.queue = "none"
          $0.passive = true
        })
      try await client.send(ChannelClose { $0.replyCode = 200 })
      _ = try await client.next(ChannelClose.self)
      _ = try await client.next(ChannelCloseOk.self)
      try await client.send(ChannelCloseOk())
      try await client.openChannel()
      try await client.fence()
    }
  }

  @Test(arguments: Depth.all)
  func `a number that was closed begins anew`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      for body in ["1", "2", "3"] { try await client.publish(body, key: "q") }
      try await client.call(ConfirmSelect(), ConfirmSelectOk.self)
      try await client.call(
        BasicQos {
          $0.prefetchCount = 1
          $0.global = true
        }, BasicQosOk.self)
      try await client.consume("q")
      _ = try await client.deliveries(1)
      try await client.closeChannel()
      try await client.openChannel()
      try await client.call(TxSelect(), TxSelectOk.self)
      try await client.consume("q", tag: "tag")
      let deliveries = try await client.deliveries(3)
      #expect(deliveries.map(\.method.deliveryTag) == [1, 2, 3])
      #expect(deliveries.map(\.method.redelivered) == [true, false, false])
      await #expect(throws: TestClient.Closed.self) { try await client.get("") }
    }
  }

  @Test(arguments: Depth.all)
  func `there are as many channels as were negotiated, and a closed one makes room`(_ depth: Depth)
    async throws
  {
    try await depth.play { house in
      let client = try await house.client(
        TestClient.Options { $0.channelMaximum = 3 }, channels: [1, 2, 2047])
      try await client.closeChannel(2)
      try await client.openChannel(7)
      try await client.send(ChannelOpen(), on: 8)
      let closed = try await client.connectionError()
      #expect(closed.code == 530)
      #expect(
        closed.text
          == "NOT_ALLOWED - number of channels opened (3) has reached the negotiated channel_max (3)")
    }
  }

  @Test(arguments: Depth.whole)
  func `all 2047 channels can be open at once`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client(channels: [])
      var octets: [UInt8] = []
      for number in 1...2047 { octets += Octets.method(ChannelOpen(), channel: UInt16(number)) }
      try await client.send(octets: octets)
      for number in 1...2047 { _ = try await client.next(ChannelOpenOk.self, on: UInt16(number)) }
      try await client.send(ChannelOpen(), on: 2048)
      #expect(try await client.connectionError().code == 530)
    }
  }

  @Test(arguments: Depth.all)
  func `flow is on, and old clients get their ticket`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      #expect(try await client.call(ChannelFlow { $0.active = true }, ChannelFlowOk.self).active)
      #expect(try await client.call(AccessRequest { $0.realm = "/data" }, AccessRequestOk.self).ticket == 1)
    }
  }
}
