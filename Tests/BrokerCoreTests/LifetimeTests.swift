/// What is deleted is freed: queues, exchanges, bindings and consumers refer to one another in circles, and
/// each circle has to be cut when one of them goes.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@Suite struct LifetimeTests {
  let core = Core()

  /// References that do not keep what they refer to.
  private struct Weak {
    weak var thing: AnyObject?
  }

  @Test func `a queue that is deleted is freed, with its messages, bindings and consumers`() throws {
    var weak: [Weak] = []
    do {
      let queue = try core.queue("q")
      try core.exchange("x", "headers")
      for exchange in ["amq.direct", "amq.fanout", "amq.topic", "x"] as [ByteString] {
        try core.bind(exchange, to: "q", key: "a.#", arguments: ["a": 1])
        weak += try core.vhost.exchange(exchange).bindings.values.map { Weak(thing: $0) }
      }
      let holder = Holder()
      let consumer = try holder.consume(queue, prefetch: 1)
      for _ in 0..<3 {
        let message = Message.of("m")
        queue.enqueue(message)
        weak.append(Weak(thing: message))
      }
      weak += [Weak(thing: queue), Weak(thing: consumer), Weak(thing: holder.collector)]
      core.vhost.remove(queue)
      // What a channel does when it ends.
      holder.deliveries.takeAll { $0.settle(.rejected(requeue: true)) }
    }
    #expect(weak.count == 10)
    #expect(weak.allSatisfy { $0.thing == nil })
  }

  @Test func `exchanges that are deleted are freed, those bound in circles too`() throws {
    var weak: [Weak] = []
    for name in ["x", "y"] as [ByteString] { weak.append(Weak(thing: try core.exchange(name))) }
    for (from, to) in [("x", "x"), ("x", "y"), ("y", "x")] as [(ByteString, ByteString)] {
      try core.bind(from, toExchange: to)
    }
    weak += try core.vhost.exchange("x").bindings.values.map { Weak(thing: $0) }
    // The last message that was routed may be remembered, but not for longer than the exchange.
    #expect(try core.route("x") == [])
    for name in ["x", "y"] as [ByteString] { try core.vhost.deleteExchange(name, ifUnused: false) }
    #expect(weak.count == 4)
    #expect(weak.allSatisfy { $0.thing == nil })
  }

  @Test func `a consumer that goes is freed when its messages are settled`() throws {
    var weak = Weak()
    let queue = try core.queue("q")
    queue.enqueue(.of("m"))
    let deliveries: Deliveries
    do {
      let holder = Holder()
      let consumer = try holder.consume(queue)
      weak.thing = consumer
      deliveries = holder.deliveries
      queue.unsubscribe(consumer)
    }
    #expect(weak.thing != nil, "its unsettled message needs it")
    #expect(deliveries.take(1, multiple: false) { $0.settle(.acknowledged) })
    #expect(weak.thing == nil)
  }

  @Test func `a message is freed when the last queue has let go of it`() throws {
    var weak = Weak()
    for name in ["a", "b"] as [ByteString] {
      try core.queue(name)
      try core.bind("amq.fanout", to: name)
    }
    do {
      let message = Message.of("m")
      weak.thing = message
      let found = try core.vhost.route(message, from: try core.vhost.exchange("amq.fanout"), publisher: .none)
      for queue in found.queues { queue.enqueue(message) }
    }
    #expect(try core.vhost.queue("a").purge() == 1)
    #expect(weak.thing != nil)
    #expect(try Holder().get(core.vhost.queue("b"), noAck: true)?.text == "m")
    #expect(weak.thing == nil)
  }
}
