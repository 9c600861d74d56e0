import BrokerCore
import NIOCore
import Synchronization

/// Lines of the log on their way to `amq.rabbitmq.log`: written on any thread, published on the broker's loop. Knows no
/// format.
package final class LogLines: Sendable {
  /// What is beyond is left out: the log itself has it.
  private static let mostWaiting = 1000

  private struct State {
    var waiting: [(level: String, text: String)] = []
    var wake: (@Sendable () -> Void)?
  }
  private let state = Mutex(State())

  package init() {}

  package func add(_ level: String, _ text: String) {
    let wake: (@Sendable () -> Void)? = state.withLock { state in
      guard let wake = state.wake, state.waiting.count < Self.mostWaiting else { return nil }
      state.waiting.append((level, text))
      return state.waiting.count == 1 ? wake : nil
    }
    wake?()
  }

  fileprivate func take() -> [(level: String, text: String)] {
    state.withLock { state in
      defer { state.waiting = [] }
      return state.waiting
    }
  }

  fileprivate func onFirst(_ wake: @escaping @Sendable () -> Void) { state.withLock { $0.wake = wake } }
}

extension Server {
  /// From now on lines go to the exchange.
  package func publish(_ lines: LogLines) async throws {
    let loop = eventLoop
    let publisher = try await beside { broker, flush in
      {
        for line in lines.take() { broker.tellLog(line.level, line.text) }
        flush()
      }
    }
    lines.onFirst { loop.execute { publisher.value() } }
  }
}
