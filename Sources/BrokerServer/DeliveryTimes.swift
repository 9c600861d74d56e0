import AMQPWire
import BrokerCore
import DequeModule

/// Since when a channel holds what it was given, roughly: a delivery costs nothing for it. Knows no queue.
///
/// Now and then it is noted which delivery was the last: that one and all before it were made until then.
struct DeliveryTimes {
  private var marks = Deque<(tag: UInt64, nanoseconds: UInt64)>()

  /// - Parameter spacing: nanoseconds between two marks, so that there are few
  /// - Returns: since when the oldest is held at least
  mutating func heldSince(oldest: UInt64, last: UInt64, now: UInt64, spacing: UInt64) -> UInt64 {
    while let first = marks.first, first.tag < oldest { marks.removeFirst() }
    if let newest = marks.last {
      if last > newest.tag, now &- newest.nanoseconds >= spacing { marks.append((last, now)) }
    } else {
      marks.append((last, now))
    }
    return marks.first?.nanoseconds ?? now
  }

  mutating func forget() { marks.removeAll() }
}

extension ClientChannel {
  /// A consumer that keeps a message for too long costs it its channel (https://www.rabbitmq.com/docs/consumers). Only
  /// the oldest delivery is looked at, as RabbitMQ does.
  func endIfHeldTooLong(now: UInt64) {
    guard let oldest = deliveries.oldest, let milliseconds = oldest.consumer?.timeoutMilliseconds,
      milliseconds > 0
    else { return deliveryTimes.forget() }
    let (nanoseconds, isTooMany) = UInt64(milliseconds).multipliedReportingOverflow(by: 1_000_000)
    guard !isTooMany else { return }
    let since = deliveryTimes.heldSince(
      oldest: oldest.tag, last: deliveries.lastTag, now: now, spacing: nanoseconds / 32)
    guard now &- since >= nanoseconds else { return }
    end(
      ProtocolError(
        .preconditionFailed,
        "delivery acknowledgement on channel \(number) timed out. Timeout value used: \(milliseconds) ms. This "
          + "timeout value can be configured, see consumers doc guide to learn more"))
  }
}
