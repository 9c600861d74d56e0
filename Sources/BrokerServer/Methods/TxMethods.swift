import AMQPWire
import BrokerCore

/// What the class `tx` means: publishes and acknowledgements that take effect together. Knows no queue's inside.
extension ClientChannel {
  func select(_ method: TxSelect) throws(ProtocolError) {
    guard confirms == nil else {
      throw ProtocolError(.preconditionFailed, "cannot switch from confirm to tx mode")
    }
    if transaction == nil { transaction = Transaction() }
    send(TxSelectOk())
  }

  func commit(_ method: TxCommit) throws(ProtocolError) {
    guard let done = transaction else { throw Self.notTransactional }
    transaction = Transaction()
    var refused = false
    for publish in done.publishes {
      do throws(ProtocolError) {
        let published = try vhost.enqueue(try publish.route.get(), by: connection.identity)
        switch published {
        case .queued(0): if publish.mandatory { sendReturn(publish.message, .noRoute, "NO_ROUTE") }
        case .refused: refused = true
        case .queued, .dropped, .delayed: break
        }
      } catch {
        refused = true
        refuse(publish.message, mandatory: publish.mandatory, error)
      }
    }
    func answer() { if !refused { sendCommitOk() } }
    settle(thenSend: answer) { each in
      for (delivery, settlement) in done.settlements { each(delivery, settlement) }
    }
    if refused { throw ProtocolError(.preconditionFailed, "partial tx completion") }
  }

  /// When what was committed is safe.
  private func sendCommitOk() {
    guard let journal, journal.lastTicket > journal.settled else { return send(TxCommitOk()) }
    connection.wait {
      journal.whenSettled(journal.lastTicket, $0)
    } then: { [weak self] in
      self?.send(TxCommitOk())
    }
  }

  /// What was acknowledged is unacknowledged again; it is not redelivered.
  func rollback(_ method: TxRollback) throws(ProtocolError) {
    guard let undone = transaction else { throw Self.notTransactional }
    transaction = Transaction()
    deliveries.restore(undone.settlements.map(\.delivery))
    send(TxRollbackOk())
  }

  private static let notTransactional = ProtocolError(.preconditionFailed, "channel is not transactional")
}
