import AMQPWire
import BrokerCore

/// What the class `confirm` means: the publisher is told what became of each message. Knows no queue.

/// The count of messages since `confirm.select`, and how far the publisher has been told.
struct Confirms {
  var published: UInt64 = 0
  fileprivate var told: UInt64 = 0
  fileprivate var isWaiting = false
}

extension ClientChannel {
  func select(_ method: ConfirmSelect) throws(ProtocolError) {
    guard transaction == nil else {
      throw ProtocolError(.preconditionFailed, "cannot switch from tx to confirm mode")
    }
    if confirms == nil { confirms = Confirms() }
    if !method.noWait { send(ConfirmSelectOk()) }
  }

  /// The last message is safe. The publisher hears of all of a read batch at once.
  // hot:
  func confirmLater() {
    guard let waiting = confirms?.isWaiting, !waiting else { return }
    confirms?.isWaiting = true
    connection.willConfirm(self)
  }

  /// The last message was refused; those before it were not.
  func rejectLast() {
    guard let published = confirms?.published else { return }
    acknowledge(upTo: published - 1)
    confirms?.told = published
    send(BasicNack { $0.deliveryTag = published })
  }

  func sendConfirms() {
    guard let published = confirms?.published else { return }
    confirms?.isWaiting = false
    acknowledge(upTo: published)
  }

  private func acknowledge(upTo published: UInt64) {
    guard let told = confirms?.told, published > told else { return }
    confirms?.told = published
    send(
      BasicAck {
        $0.deliveryTag = published
        $0.multiple = published - told > 1
      })
  }
}
