/// A queue: who gets what and in which order, what comes back, and how it ends.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@Suite struct QueueTests {
  let core = Core()

  private func queue(_ bodies: [String] = [], autoDelete: Bool = false) throws -> Queue {
    let queue = try core.queue("q", autoDelete: autoDelete)
    for body in bodies { queue.enqueue(.of(body)) }
    return queue
  }

  // MARK: in and out

  @Test func `messages wait in order until somebody gets them`() throws {
    let queue = try queue(["1", "2", "3"])
    let holder = Holder()
    #expect(queue.readyCount == 3 && queue.unsettledCount == 0)
    #expect(holder.get(queue)?.text == "1")
    #expect(holder.get(queue)?.text == "2")
    #expect(queue.readyCount == 1 && queue.unsettledCount == 2)
    #expect(holder.get(queue, noAck: true)?.text == "3")
    #expect(holder.get(queue) == nil)
    #expect(queue.unsettledCount == 2)
  }

  @Test func `a waiting consumer gets a message at once`() throws {
    let queue = try queue()
    let holder = Holder()
    try holder.consume(queue)
    queue.enqueue(.of("1"))
    #expect(holder.collector.texts == ["1"] && holder.collector.tags == [1])
    #expect(queue.readyCount == 0 && queue.unsettledCount == 1)
  }

  @Test func `what is ready is delivered to a new consumer in order`() throws {
    let queue = try queue(["1", "2", "3"])
    let holder = Holder()
    try holder.consume(queue)
    #expect(holder.collector.texts == ["1", "2", "3"])
    #expect(holder.collector.deliveries.map(\.redelivered) == [false, false, false])
  }

  @Test func `without acknowledgement nothing stays unsettled`() throws {
    let queue = try queue(["1", "2"])
    let holder = Holder()
    try holder.consume(queue, noAck: true)
    #expect(holder.collector.texts == ["1", "2"])
    #expect(queue.unsettledCount == 0 && holder.deliveries.count == 0)
    #expect(!holder.settle(1))
  }

  @Test func `a message does not overtake those that wait`() throws {
    let queue = try queue()
    let holder = Holder(isOpen: false)
    try holder.consume(queue)
    queue.enqueue(.of("1"))
    holder.collector.isOpen = true
    queue.enqueue(.of("2"))
    #expect(holder.collector.texts == [])
    queue.drain()
    #expect(holder.collector.texts == ["1", "2"])
  }

  @Test func `equals take turns`() throws {
    let queue = try queue()
    let holders = [Holder(), Holder(), Holder()]
    for holder in holders { try holder.consume(queue) }
    for number in 1...7 { queue.enqueue(.of("\(number)")) }
    #expect(holders.map(\.collector.texts) == [["1", "4", "7"], ["2", "5"], ["3", "6"]])
  }

  @Test func `the higher priority gets all until its credit is used up`() throws {
    let queue = try queue()
    let (low, high) = (Holder(), Holder())
    try low.consume(queue)
    try high.consume(queue, priority: 1, prefetch: 2)
    for number in 1...4 { queue.enqueue(.of("\(number)")) }
    #expect(high.collector.texts == ["1", "2"] && low.collector.texts == ["3", "4"])
    high.settle(1)
    queue.enqueue(.of("5"))
    #expect(high.collector.texts == ["1", "2", "5"])
  }

  @Test func `a closed outlet gets nothing, and goes on when it is open and the queue drained`() throws {
    let queue = try queue(["1", "2", "3", "4"])
    let holder = Holder()
    holder.collector.capacity = 2
    try holder.consume(queue, noAck: true)
    #expect(holder.collector.texts == ["1", "2"] && queue.readyCount == 2)
    holder.collector.capacity = 0
    holder.collector.isOpen = true
    queue.drain()
    #expect(holder.collector.texts == ["1", "2", "3", "4"])
  }

  @Test func `a share is delivered and no more, and it says whether there could be more`() throws {
    let queue = try queue()
    let holder = Holder(isOpen: false)
    try holder.consume(queue, noAck: true)
    for number in 1...5 { queue.enqueue(.of("\(number)")) }
    #expect(!queue.drain(atMost: 2), "nobody takes any")
    holder.collector.isOpen = true
    #expect(queue.drain(atMost: 2))
    #expect(holder.collector.texts == ["1", "2"])
    #expect(!queue.drain(atMost: 3), "all is gone")
    #expect(holder.collector.texts == ["1", "2", "3", "4", "5"])
  }

  @Test func `one consumer alone is served up to its prefetch, and not when it is gone`() throws {
    let queue = try queue()
    let (one, other) = (Holder(isOpen: false), Holder(isOpen: false))
    let consumer = try one.consume(queue, tag: "a", prefetch: 2)
    try other.consume(queue, tag: "b")
    for number in 1...5 { queue.enqueue(.of("\(number)")) }
    (one.collector.isOpen, other.collector.isOpen) = (true, true)
    queue.drain(to: consumer)
    #expect(one.collector.texts == ["1", "2"] && other.collector.texts == [])
    queue.unsubscribe(consumer)
    _ = one.deliveries.take(0, multiple: true) { $0.settle(.acknowledged) }
    queue.drain(to: consumer)
    #expect(one.collector.texts == ["1", "2"] && queue.readyCount == 3)
  }

  // MARK: prefetch

  @Test func `a consumer holds no more than its prefetch`() throws {
    let queue = try queue(["1", "2", "3", "4", "5"])
    let holder = Holder()
    try holder.consume(queue, prefetch: 2)
    #expect(holder.collector.texts == ["1", "2"])
    holder.settle(1)
    #expect(holder.collector.texts == ["1", "2", "3"])
    holder.settle(3, multiple: true)
    #expect(holder.collector.texts == ["1", "2", "3", "4", "5"])
  }

  @Test func `prefetch does not hold back a consumer that does not acknowledge`() throws {
    let queue = try queue(["1", "2", "3"])
    let holder = Holder()
    try holder.consume(queue, noAck: true, prefetch: 1)
    #expect(holder.collector.texts == ["1", "2", "3"])
  }

  @Test func `two consumers of a channel have a prefetch each`() throws {
    let queue = try queue()
    let holder = Holder()
    try holder.consume(queue, tag: "a", prefetch: 1)
    try holder.consume(queue, tag: "b", prefetch: 2)
    for number in 1...5 { queue.enqueue(.of("\(number)")) }
    #expect(holder.collector.texts == ["1", "2", "3"] && queue.readyCount == 2)
  }

  @Test func `a limit of the channel is shared by its consumers, on all its queues`() throws {
    let (first, second) = (try queue(), try core.queue("r"))
    let holder = Holder()
    holder.deliveries.setLimit(3)
    try holder.consume(first, tag: "a")
    try holder.consume(second, tag: "b", prefetch: 1)
    for number in 1...3 { first.enqueue(.of("a\(number)")) }
    second.enqueue(.of("b1"))
    #expect(holder.collector.texts == ["a1", "a2", "a3"])
    holder.settle(1)
    second.drain()
    #expect(holder.collector.texts == ["a1", "a2", "a3", "b1"])
    second.enqueue(.of("b2"))
    holder.settle(2)
    second.drain()
    #expect(holder.collector.texts.count == 4, "the consumer's own prefetch holds too")
    holder.deliveries.setLimit(0)
    first.enqueue(.of("a4"))
    #expect(holder.collector.texts.last == "a4")
  }

  @Test func `a get is not limited, and does not use the limit up`() throws {
    let queue = try queue(["1", "2", "3"])
    let holder = Holder()
    holder.deliveries.setLimit(1)
    #expect(holder.get(queue)?.text == "1")
    #expect(holder.get(queue)?.text == "2")
    try holder.consume(queue)
    #expect(holder.collector.texts == ["3"])
  }

  // MARK: what comes back

  @Test func `what is requeued goes back to its place and says so`() throws {
    let queue = try queue(["1", "2", "3", "4"])
    let holder = Holder()
    for _ in 0..<3 { _ = holder.get(queue) }
    holder.settle(3, .rejected(requeue: true))
    holder.settle(1, .rejected(requeue: true))
    #expect(queue.readyCount == 3 && queue.unsettledCount == 1)
    let again = (0..<3).compactMap { _ in holder.get(queue) }
    #expect(again.map(\.text) == ["1", "3", "4"])
    #expect(again.map(\.redelivered) == [true, true, false])
    #expect(again.map(\.tag) == [4, 5, 6], "each delivery has a tag of its own")
  }

  @Test func `many that come back at once are delivered in order`() throws {
    let queue = try queue(["1", "2", "3"])
    let holder = Holder()
    try holder.consume(queue, prefetch: 3)
    holder.settle(0, multiple: true, .rejected(requeue: true))
    #expect(holder.collector.texts == ["1", "2", "3", "1", "2", "3"])
  }

  @Test func `what is rejected without requeue is gone`() throws {
    let queue = try queue(["1"])
    let holder = Holder()
    _ = holder.get(queue)
    holder.settle(1, .rejected(requeue: false))
    #expect(queue.readyCount == 0 && queue.unsettledCount == 0)
  }

  @Test func `a purge drops what is ready and leaves what is unsettled`() throws {
    let queue = try queue(["1", "2", "3"])
    let holder = Holder()
    _ = holder.get(queue)
    #expect(queue.purge() == 2)
    #expect(queue.readyCount == 0 && queue.unsettledCount == 1)
    #expect(queue.purge() == 0)
    holder.settle(1, .rejected(requeue: true))
    #expect(queue.readyCount == 1)
  }

  // MARK: exclusive consumers

  @Test func `an exclusive consumer is alone`() throws {
    let text = "queue 'q' in vhost '/' in exclusive use"
    let queue = try queue()
    let holder = Holder()
    let exclusive = try holder.consume(queue, tag: "a", exclusive: true)
    #expect(refusal { try holder.consume(queue, tag: "b") } == ProtocolError(.accessRefused, text))
    #expect(
      refusal { try Holder().consume(queue, exclusive: true) } == ProtocolError(.accessRefused, text))
    #expect(queue.consumerCount == 1)
    queue.unsubscribe(exclusive)
    try holder.consume(queue, tag: "b")
    #expect(
      refusal { try holder.consume(queue, tag: "c", exclusive: true) } == ProtocolError(.accessRefused, text))
  }

  // MARK: the end

  @Test func `a consumer that goes leaves its messages with its channel`() throws {
    let queue = try queue(["1"])
    let holder = Holder()
    let consumer = try holder.consume(queue)
    queue.unsubscribe(consumer)
    queue.enqueue(.of("2"))
    #expect(queue.consumerCount == 0 && queue.unsettledCount == 1 && queue.readyCount == 1)
    holder.settle(1, .rejected(requeue: true))
    #expect(queue.readyCount == 2)
    queue.unsubscribe(consumer)
    #expect(holder.collector.cancelled == [], "it asked for it itself")
  }

  @Test func `an auto-delete queue goes with its last consumer and not before it had one`() throws {
    let queue = try queue(autoDelete: true)
    let holder = Holder()
    #expect(!queue.isDeleted)
    let (first, second) = (try holder.consume(queue, tag: "a"), try holder.consume(queue, tag: "b"))
    queue.unsubscribe(first)
    #expect(!queue.isDeleted)
    queue.unsubscribe(second)
    #expect(queue.isDeleted)
    #expect(refusal { _ = try core.vhost.queue("q") }?.code == .notFound)
  }

  @Test func `a queue that ends tells its consumers and drops what it has`() throws {
    let queue = try queue(["1", "2", "3"])
    let (first, second) = (Holder(), Holder())
    try first.consume(queue, tag: "a", prefetch: 1)
    try second.consume(queue, tag: "b", prefetch: 1)
    core.vhost.remove(queue)
    #expect(queue.isDeleted && queue.readyCount == 0 && queue.consumerCount == 0)
    #expect(first.collector.cancelled == ["a"] && second.collector.cancelled == ["b"])
  }

  @Test func `what is unsettled can be settled after the queue's end, and comes back to nobody`() throws {
    let queue = try queue(["1", "2"])
    let holder = Holder()
    try holder.consume(queue)
    core.vhost.remove(queue)
    #expect(holder.settle(1, .rejected(requeue: true)))
    #expect(holder.settle(2))
    #expect(queue.readyCount == 0 && queue.unsettledCount == 0)
  }

  @Test func `a queue of the same name is another queue`() throws {
    let old = try queue(["1"])
    let holder = Holder()
    _ = holder.get(old)
    core.vhost.remove(old)
    let new = try queue()
    #expect(new !== old)
    core.vhost.remove(old)
    #expect(!new.isDeleted)
    holder.settle(1, .rejected(requeue: true))
    #expect(new.readyCount == 0)
  }
}
