import AMQPWire
import BrokerCore

/// A consumer's outlet that keeps what it is given, and can be opened and closed by hand. Knows no queue.
package final class Collector: ConsumerOutlet {
  package struct Delivered {
    package let message: Message
    package let tag: UInt64
    package let redelivered: Bool

    /// The body as text.
    package var text: String { message.bodyText }
  }

  package var isOpen: Bool
  package private(set) var deliveries: [Delivered] = []
  package private(set) var cancelled: [ByteString] = []
  /// Closes itself when it has so many deliveries; 0 is never.
  package var capacity = 0

  package init(isOpen: Bool = true) { self.isOpen = isOpen }

  package var texts: [String] { deliveries.map(\.text) }
  package var tags: [UInt64] { deliveries.map(\.tag) }

  package func deliver(_ message: Message, tag: UInt64, redelivered: Bool) {
    deliveries.append(Delivered(message: message, tag: tag, redelivered: redelivered))
    if capacity > 0, deliveries.count >= capacity { isOpen = false }
  }

  package func consumerCancelled(_ tag: ByteString) { cancelled.append(tag) }

  /// Forgets what it holds, and gives it.
  package func drain() -> [Delivered] {
    defer { deliveries = [] }
    return deliveries
  }
}
