/// The trace of a virtual host, as who looks for a fault sees it.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@testable import BrokerServer

@Suite struct TraceTests {
  private static func trace(_ house: House, _ isOn: Bool) async throws {
    try await house.inBroker { $0.vhosts["/"]?.setTracing(isOn) }
  }

  private static func tracer(_ house: House) async throws -> TestClient {
    let tracer = try await house.client()
    try await tracer.declareQueue("seen")
    try await tracer.call(
      QueueBind {
        $0.queue = "seen"
        $0.exchange = "amq.rabbitmq.trace"
        $0.routingKey = "#"
      }, QueueBindOk.self)
    return tracer
  }

  @Test(arguments: Depth.whole)
  func `what is published and delivered is told while it is switched on`(_ depth: Depth) async throws {
    try await depth.play { house in
      let tracer = try await Self.tracer(house)
      try await Self.trace(house, true)
      let client = try await house.client(channels: [1, 3])
      try await client.declareQueue("q", on: 3)
      var properties = BasicProperties()
      properties.contentType = "text/plain"
      properties.deliveryMode = 1
      properties.timestamp = 7
      properties.headers = ["CC": .array(["other"]), "a": .int32(1)]
      try await client.publish("hello", key: "q", properties: properties, on: 3)
      try await client.consume("q", on: 3)
      _ = try await client.deliveries(1, on: 3)
      try await tracer.consume("seen", noAck: true)
      let told = try await tracer.deliveries(2)
      #expect(told.map(\.method.routingKey) == ["publish.", "deliver.q"])
      #expect(told.allSatisfy { $0.text == "hello" && $0.method.exchange == "amq.rabbitmq.trace" })
      let publish = told[0].content.properties.headers ?? [:]
      let names: [ByteString] = [
        "exchange_name", "routing_keys", "properties", "node", "vhost", "connection",
      ]
      #expect(publish.fields.map(\.name) == names + ["channel", "user", "routed_queues"])
      #expect(publish["exchange_name"] == "")
      #expect(publish["routing_keys"] == .array(["q", "other"]))
      #expect(
        publish["properties"]
          == .table([
            "content_type": "text/plain",
            "headers": .table(["CC": .array(["other"]), "a": .int32(1)]), "delivery_mode": .int32(1),
            "timestamp": .int32(7),
          ]))
      #expect(publish["vhost"] == "/" && publish["user"] == "guest" && publish["channel"] == .int32(3))
      #expect(publish["connection"]?.string?.text.contains(" -> ") == true)
      #expect(publish["routed_queues"] == .array(["q"]))
      let delivery = told[1].content.properties.headers ?? [:]
      #expect(
        delivery.fields.map(\.name)
          == names[..<4] + ["redelivered", "vhost", "connection", "channel", "user"])
      #expect(delivery["redelivered"] == .int32(0) && delivery["channel"] == .int32(3))
    }
  }

  @Test(arguments: Depth.whole)
  func `switched off nothing is told, and deliveries of the trace never are`(_ depth: Depth) async throws {
    try await depth.play { house in
      let tracer = try await Self.tracer(house)
      try await Self.trace(house, true)
      try await tracer.declareQueue("q")
      for _ in 1...3 { try await tracer.publish("again", key: "q") }
      try await tracer.fence()
      try await tracer.consume("seen", noAck: true)
      #expect(try await tracer.deliveries(3).allSatisfy { $0.method.routingKey == "publish." })
      #expect(try await tracer.get("q") != nil)
      #expect(try await tracer.deliveries(1)[0].method.routingKey == "deliver.q")
      try await Self.trace(house, false)
      try await tracer.publish("more", key: "q")
      #expect(try await tracer.get("q") != nil)
      try await tracer.fence()
      #expect(tracer.waiting.isEmpty)
    }
  }
}
