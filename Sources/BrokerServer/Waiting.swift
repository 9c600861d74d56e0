import AMQPWire
import BrokerCore

/// Why a connection looks at nothing more that its peer sends: it waits for an answer, or is throttled. Knows no
/// frame.
struct Waiting {
  enum Undone: Equatable {
    /// The frame that stands first in what was read.
    case frame
    /// The channel has the message.
    case publish(UInt16)
  }

  /// What is to be done once more when the answer is there.
  var undone: Undone?
  fileprivate(set) var throttledUntil: UInt64?
  /// Publishers have to wait for room in the store.
  fileprivate(set) var isBlocked = false
  /// How many answers were waited for, the one that is waited for now included.
  private var count: UInt64 = 0
  private var isForAnswer = false
  /// What to do with the answer that has come.
  private var continuation: (() -> Void)?

  /// - Returns: the number of the answer
  fileprivate mutating func begin() -> UInt64 {
    count += 1
    isForAnswer = true
    return count
  }

  /// - Returns: false if nobody waits for it any more
  fileprivate mutating func answered(_ number: UInt64, _ then: @escaping () -> Void) -> Bool {
    guard isForAnswer, count == number else { return false }
    isForAnswer = false
    continuation = then
    return true
  }

  /// - Returns: whether there is still something to wait for
  mutating func goesOn(now: UInt64) -> Bool {
    if let end = throttledUntil, now >= end { throttledUntil = nil }
    return isForAnswer || throttledUntil != nil || isBlocked
  }

  mutating func takeContinuation() -> (() -> Void)? {
    defer { continuation = nil }
    return continuation
  }

  /// Nobody wants the answer any more.
  mutating func abandon() {
    isForAnswer = false
    continuation = nil
    undone = nil
    throttledUntil = nil
    isBlocked = false
  }
}

extension ClientConnection {
  /// Does something with an answer, now or when it comes.
  func take<Value>(_ answer: Answer<Value>, _ then: @escaping (Value) -> Void) {
    switch answer {
    case .now(let value): then(value)
    case .later(let pending): wait(for: pending, then)
    }
  }

  /// Looks at nothing more that the peer sends until the answer is there, and goes on in a later turn: answers
  /// come when they like, even in the middle of another connection's read batch.
  private func wait<Value>(for pending: Pending<Value>, _ then: @escaping (Value) -> Void) {
    let number = waiting.begin()
    hold()
    pending.whenAnswered { [weak self] value in
      guard let self, waiting.answered(number, { then(value) }) else { return }
      transport.resumeSoon()
    }
  }

  /// Looks at nothing more until something has happened, and does something then.
  /// - Parameter whenDone: is given what to call when it has
  func wait(for whenDone: (@escaping () -> Void) -> Void, then body: @escaping () -> Void = {}) {
    let pending = Pending<Void>()
    whenDone { pending.answer(()) }
    take(pending.answer, body)
  }

  /// Looks at nothing more until a message is safe.
  func waitForJournal(_ ticket: Journal.Ticket) {
    guard let journal = broker.journal, !outbox.isHeld else { return }
    wait { journal.whenSettled(ticket, $0) }
  }

  // MARK: alarms

  /// What a publisher sends is not read while there is no room for it. It is told, if it wants to know.
  func block() {
    guard phase == .running, !waiting.isBlocked, let alarm = broker.alarm else { return }
    waiting.isBlocked = true
    hold()
    broker.logger.info("\(peer): blocked: \(alarm)")
    guard handshake.clientCan("connection.blocked") else { return }
    outbox.send(ConnectionBlocked { $0.reason = "low on disk" }, channel: 0)
  }

  func unblock() {
    guard waiting.isBlocked else { return }
    waiting.isBlocked = false
    if handshake.clientCan("connection.blocked") { outbox.send(ConnectionUnblocked(), channel: 0) }
    transport.resumeSoon()
  }

  // MARK: time

  /// What the peer sends is not read for so long, at most a minute. Deliveries and heartbeats go on.
  func throttle(milliseconds: Int64) {
    guard milliseconds > 0, phase == .running else { return }
    let milliseconds = min(milliseconds, Settings.throttleMaximumMilliseconds)
    let end = broker.clock.nanoseconds &+ UInt64(milliseconds) * 1_000_000
    guard end > waiting.throttledUntil ?? 0 else { return }
    waiting.throttledUntil = end
    hold()
    broker.deadlines.after(milliseconds: milliseconds) { [weak self] in
      guard let self, waiting.throttledUntil != nil else { return }
      transport.resumeSoon()
    }
  }

  // MARK: permission

  /// - Throws: 403, or 530 for a virtual host; `undecided` if the answer is not there yet: nothing more is looked
  ///   at until it is, and the operation is done once more.
  func check(_ request: AccessControl.Request) throws(ProtocolError) {
    guard try isAllowed(request) else { throw access.refusal(of: request) }
  }

  func isAllowed(_ request: AccessControl.Request) throws(ProtocolError) -> Bool {
    switch access.ask(request) {
    case .now(let isAllowed): return isAllowed
    case .later(let pending): throw tryAgain(after: pending)
    }
  }

  /// The frame at hand is looked at once more when the answer is there.
  func tryAgain<Value>(after pending: Pending<Value>) -> ProtocolError {
    waiting.undone = .frame
    wait(for: pending) { _ in }
    return .undecided
  }

  /// True after `undecided` was thrown: what it left is done once more.
  var hasToWait: Bool { waiting.undone != nil }

  /// The publish at hand waits, and not the frame that completed it.
  func willPublishAgain(on channel: ClientChannel) { waiting.undone = .publish(channel.number) }
}
