import AMQPWire
import BrokerCore
import DequeModule

/// What the class `confirm` means: the publisher is told what became of each message. Knows no queue.

/// The count of messages since `confirm.select`, and how far the publisher has been told.
///
/// A message that goes to the journal is confirmed when it is safe. Those that came in one read batch are noted as one
/// pair: up to which message, and up to which ticket of the journal.
struct Confirms {
  var published: UInt64 = 0
  /// Of the last message that the journal has; 0: all since the last pair are safe already.
  var ticket: Journal.Ticket = 0
  fileprivate var told: UInt64 = 0
  fileprivate var isWaiting = false
  fileprivate var isWaitingForJournal = false
  private var pairs = Deque<(upTo: UInt64, ticket: Journal.Ticket)>()
  /// Messages that were refused while others before them are not safe yet.
  private var refused = Deque<UInt64>()

  /// The next are noted apart from those until now.
  // hot:
  mutating func note(upTo number: UInt64) {
    defer { ticket = 0 }
    guard number > pairs.last?.upTo ?? told else { return }
    if ticket == 0, !pairs.isEmpty {
      pairs[pairs.count - 1].upTo = number
    } else {
      pairs.append((number, ticket))
    }
  }

  /// Takes out what is safe.
  /// - Returns: up to which message, and whether it is one alone; nil if there is none to tell
  // hot:
  mutating func takeSettled(_ settled: Journal.Ticket) -> (upTo: UInt64, multiple: Bool)? {
    var end = told
    while let first = pairs.first, first.ticket <= settled {
      end = first.upTo
      pairs.removeFirst()
    }
    guard end > told else { return nil }
    let start = told
    told = end
    // What was refused has been told of. The last of the rest is the one to name.
    var among = UInt64(refused.prefix { $0 <= end }.count)
    while among > 0, refused[Int(among) - 1] == end {
      refused.remove(at: Int(among) - 1)
      among -= 1
      end -= 1
    }
    refused.removeFirst(Int(among))
    let count = end - start - among
    return count > 0 ? (end, end - start > 1) : nil
  }

  mutating func refuse(_ number: UInt64) {
    if pairs.isEmpty { told = number } else { refused.append(number) }
    if !pairs.isEmpty { pairs[pairs.count - 1].upTo = number }
  }

  var unconfirmed: UInt64 { published - told - UInt64(refused.count) }
  var nextTicket: Journal.Ticket? { pairs.first?.ticket }
}

extension ClientChannel {
  func select(_ method: ConfirmSelect) throws(ProtocolError) {
    guard transaction == nil else {
      throw ProtocolError(.preconditionFailed, "cannot switch from tx to confirm mode")
    }
    if confirms == nil { confirms = Confirms() }
    if !method.noWait { send(ConfirmSelectOk()) }
  }

  /// The last message is accepted. The publisher hears of all of a read batch at once.
  // hot:
  func confirmLater() {
    guard let waiting = confirms?.isWaiting, !waiting else { return }
    confirms?.isWaiting = true
    connection.willConfirm(self)
  }

  /// The last message was refused; those before it were not.
  func rejectLast() {
    guard let published = confirms?.published else { return }
    confirms?.note(upTo: published - 1)
    acknowledgeSettled()
    confirms?.refuse(published)
    send(BasicNack { $0.deliveryTag = published })
  }

  func sendConfirms() {
    guard let published = confirms?.published else { return }
    confirms?.isWaiting = false
    confirms?.note(upTo: published)
    acknowledgeSettled()
    waitForJournal()
  }

  /// More is told when the journal says so.
  private func waitForJournal() {
    guard let journal = connection.broker.journal, let ticket = confirms?.nextTicket,
      let isWaiting = confirms?.isWaitingForJournal, !isWaiting
    else { return }
    confirms?.isWaitingForJournal = true
    journal.whenSettled(ticket) { [weak self] in
      guard let self, state == .open else { return }
      confirms?.isWaitingForJournal = false
      confirmLater()
    }
  }

  private func acknowledgeSettled() {
    let settled = connection.broker.journal?.settled ?? 0
    guard let (upTo, multiple) = confirms?.takeSettled(settled) else { return }
    send(
      BasicAck {
        $0.deliveryTag = upTo
        $0.multiple = multiple
      })
  }
}
