import AMQPWire
import BrokerCore
import NIOCore

/// What whoever manages the broker asks of the server, without stalling the loop. Knows no HTTP.
extension Server {
  /// Objects that are looked at in one turn of the loop.
  private static var share: Int { 500 }

  /// Lists things and reports on each, a share of them a turn. What is gone meanwhile is reported as it was.
  /// - Throws: what `things` throws
  package func gather<Thing, Report: Sendable>(
    _ things: @escaping @Sendable (Broker) throws -> [Thing],
    _ report: @escaping @Sendable (Thing) -> Report?
  ) async throws -> [Report] {
    let (core, loop) = (core, loop)
    let (box, count) = try await loop.submit {
      let all = try things(core.value.broker)
      return (NIOLoopBoundBox(all, eventLoop: loop), all.count)
    }.get()
    var reports: [Report] = []
    reports.reserveCapacity(count)
    for start in stride(from: 0, to: count, by: Self.share) {
      reports += try await loop.submit {
        box.value[start..<min(count, start + Self.share)].compactMap(report)
      }.get()
    }
    return reports
  }

  /// Asks for permissions one after the other, as a channel does.
  /// - Throws: the `ProtocolError` of the first that is refused
  package func require(_ requests: [BrokerCore.AccessRequest], by identity: Identity, from peer: PeerAddress)
    async throws
  {
    let (core, loop) = (core, loop)
    for request in requests {
      try await loop.flatSubmit {
        let promise = loop.makePromise(of: Void.self)
        let broker = core.value.broker
        let access = AccessControl(
          identity, Peer(address: peer.address, port: peer.port, isLoopback: peer.isLoopback), broker)
        func decided(_ isAllowed: Bool) {
          if isAllowed { promise.succeed() } else { promise.fail(access.refusal(of: request)) }
        }
        if access.isOpen(in: request.vhost) {
          decided(true)
        } else {
          switch access.ask(request) {
          case .now(let isAllowed): decided(isAllowed)
          // The answer holds who asked, who would else be gone before it.
          case .later(let pending): pending.whenAnswered { decided($0) }
          }
        }
        return promise.futureResult
      }.get()
    }
  }
}

// MARK: messages

extension Server {
  /// A message that was taken out of a queue.
  package struct Taken: Sendable {
    package let exchange: ByteString
    package let routingKey: ByteString
    package let properties: ByteString
    package let body: [UInt8]
    package let redelivered: Bool
    /// How many are ready behind it.
    package let left: Int
  }

  /// Of bodies that are taken at once; one is always taken.
  private static var mostOctets: Int { 64 << 20 }

  /// Takes messages as `basic.get` does, and settles them together. Fewer than asked for, if they are large.
  /// - Throws: 404, or 405 for a connection's own queue
  package func take(
    _ count: Int, from name: ByteString, in vhost: ByteString, by identity: Identity,
    _ settlement: Settlement
  ) async throws -> [Taken] {
    let (core, loop) = (core, loop)
    let getter = try await loop.submit {
      guard let vhost = core.value.broker.vhosts[vhost] else {
        throw ProtocolError(.notFound, "no vhost '\(vhost)'")
      }
      let queue = try vhost.queue(name)
      guard queue.owner == nil else { throw queue.isLocked }
      try queue.checkRemoval(by: "basic.get")
      return NIOLoopBoundBox(Getter(queue, identity), eventLoop: loop)
    }.get()
    var taken: [Taken] = []
    do {
      var octets = 0
      while taken.count < count, octets < Self.mostOctets,
        let next = try await loop.flatSubmit({ getter.value.next(on: loop) }).get()
      {
        octets += next.body.count
        taken.append(next)
      }
    } catch {
      try await settle(getter, .rejected(requeue: true))
      throw error
    }
    try await settle(getter, settlement)
    return taken
  }

  private func settle(_ getter: NIOLoopBoundBox<Getter>, _ settlement: Settlement) async throws {
    let core = core
    try await loop.submit {
      getter.value.settle(settlement)
      core.value.flush()
    }.get()
  }
}

/// Holds what was taken until it is settled. Consumes nothing.
private final class Getter: ConsumerOutlet {
  private let queue: Queue
  private let identity: Identity
  private let deliveries = Deliveries()

  init(_ queue: Queue, _ identity: Identity) {
    self.queue = queue
    self.identity = identity
  }

  var isOpen: Bool { false }
  func deliver(_ message: Message, tag: UInt64, redelivered: Bool) {}
  func consumerCancelled(_ tag: ByteString) {}

  /// - Returns: nil if there is none
  func next(on loop: any EventLoop) -> EventLoopFuture<Server.Taken?> {
    let consumer = Consumer(
      tag: "", queue: queue, noAck: false, identity: identity, deliveries: deliveries, outlet: self)
    switch queue.get(consumer) {
    case .empty: return loop.makeSucceededFuture(nil)
    case .message(let message, let redelivered, _):
      return loop.makeSucceededFuture(
        Server.Taken(
          exchange: ByteString(message.exchange), routingKey: ByteString(message.routingKey),
          properties: ByteString(message.properties), body: Array(message.body), redelivered: redelivered,
          left: queue.readyCount))
    case .later(let pending):
      let promise = loop.makePromise(of: Void.self)
      pending.whenAnswered { promise.succeed() }
      let again = NIOLoopBound(self, eventLoop: loop)
      return promise.futureResult.flatMap { again.value.next(on: loop) }
    }
  }

  func settle(_ settlement: Settlement) {
    deliveries.takeAll { $0.settle(settlement) }
    queue.drain()
  }
}
