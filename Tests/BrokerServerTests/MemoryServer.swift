/// A broker's connections without sockets and without a loop: everything happens before a call returns. It
/// does for `ClientConnection` what `ConnectionHandler` does, so that what a slow peer costs can be counted.
import AMQPWire
import BrokerCore
import BrokerTestKit
import NIOCore

@testable import BrokerServer

final class MemoryServer {
  private let core: ServerCore
  private var lines: [MemoryLine] = []
  /// The water marks of each line, as NIO's channels have them.
  private let marks: ClosedRange<Int>
  /// The broker's, which does its work when nothing else is left to do.
  private let store: TestStore?

  init(_ broker: Broker, store: TestStore? = nil, marks: ClosedRange<Int> = 262_144...1_048_576) {
    core = ServerCore(broker: broker, loop: nil)
    self.store = store
    self.marks = marks
  }

  func connect(isLoopback: Bool = true) -> MemoryLine {
    let line = MemoryLine(server: self, marks: marks)
    let connection = ClientConnection(
      core: core, peer: Peer(address: "memory", isLoopback: isLoopback), transport: line)
    line.connection = connection
    core.add(connection)
    lines.append(line)
    return line
  }

  /// How many connections there are.
  var lineCount: Int { lines.count }

  func tick() {
    core.tick()
    settle()
  }

  func withBroker<Result>(_ work: (Broker) throws -> Result) rethrows -> Result {
    defer {
      core.flush()
      settle()
    }
    return try work(core.broker)
  }

  func withCore<Result>(_ work: (ServerCore) throws -> Result) rethrows -> Result {
    defer {
      core.flush()
      settle()
    }
    return try work(core)
  }

  func stop() {
    core.closeAll()
    settle()
  }

  /// Everything that a loop would do now and in its next turns, until nothing is left to do.
  fileprivate func settle() {
    var isBusy = true
    while isBusy {
      isBusy = false
      for line in lines where line.turn() {
        core.flush()
        isBusy = true
      }
      lines.removeAll { $0.isGone }
      if !isBusy, let store { isBusy = store.workOnce() }
    }
  }

  fileprivate func forget(_ connection: ClientConnection) {
    connection.disconnected()
    core.remove(connection)
    core.flush()
  }
}

/// A line between a test client and a `ClientConnection`.
final class MemoryLine: Line, Transport {
  /// The most octets that a client is given at once.
  private static let chunk = 262_144

  private unowned let server: MemoryServer
  private let marks: ClosedRange<Int>
  fileprivate(set) var connection: ClientConnection?
  /// From the client, not handed to the connection yet.
  private var inbound: [[UInt8]] = []
  /// To the client, not asked for yet.
  private(set) var outbound: [UInt8] = []
  private var wantsResume = false
  private var isOutputClosed = false
  private var mustForget = false

  fileprivate init(server: MemoryServer, marks: ClosedRange<Int>) {
    self.server = server
    self.marks = marks
  }

  fileprivate var isGone: Bool { connection == nil }
  /// Octets that the client has sent and the broker does not want to read yet.
  var unreadCount: Int { inbound.reduce(0) { $0 + $1.count } }

  /// - Returns: whether there was something to do
  fileprivate func turn() -> Bool {
    guard let connection else { return false }
    if mustForget {
      self.connection = nil
      server.forget(connection)
      return true
    }
    if wantsResume {
      wantsResume = false
      connection.resume()
      return true
    }
    guard !inbound.isEmpty, connection.acceptsInput else { return false }
    let octets = inbound.removeFirst()
    octets.withUnsafeBytes { connection.receive($0) }
    return true
  }

  // MARK: the client's end

  func send(_ octets: [UInt8]) {
    guard connection != nil else { return }
    inbound.append(octets)
    server.settle()
  }

  func receive() throws -> Receipt {
    server.settle()
    guard !outbound.isEmpty else {
      if isOutputClosed { return .end }
      throw Silence()
    }
    let octets = Array(outbound.prefix(Self.chunk))
    outbound.removeFirst(octets.count)
    if let connection, connection.outbox.isSocketFull, outbound.count < marks.lowerBound {
      connection.outbox.isSocketFull = false
      wantsResume = true
    }
    return .octets(octets)
  }

  func close() {
    isOutputClosed = true
    mustForget = true
    server.settle()
  }

  // MARK: the broker's end

  func send(_ buffer: ByteBuffer) {
    guard !isOutputClosed else { return }
    outbound.append(contentsOf: buffer.readableBytesView)
    if outbound.count > marks.upperBound { connection?.outbox.isSocketFull = true }
  }

  func resumeSoon() { wantsResume = true }

  func finish(orderly: Bool) {
    if let rest = connection?.outbox.take() { send(rest) }
    isOutputClosed = true
    if !orderly { mustForget = true }
  }
}
