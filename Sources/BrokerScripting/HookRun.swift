/// One call of a hook that may wait: what it waits for is done elsewhere, and the script goes on when it is
/// there. Knows no hook.
///
///     running ──waits──> waiting ──answer──> running ──> ended
///                           └── 30 s in all, or abandoned ──> ended

internal import AMQPWire
internal import BrokerCore
internal import LuaRuntime
package import NIOCore

/// Where hooks wait: the core loop, and what is to be done when one of them has gone on.
package struct LoopSeat {
  let loop: any EventLoop
  /// Sends what connections have to send.
  let flush: () -> Void

  package init(loop: any EventLoop, flush: @escaping () -> Void) {
    self.loop = loop
    self.flush = flush
  }
}

final class HookRun {
  static let mostMilliseconds: Int64 = 30_000
  static let mostSleepSeconds = 60.0

  private let plugin: Plugin
  private let meter: HookMeter
  private let broker: Broker
  private let seat: LoopSeat?
  private let done: (Result<LuaAnswer, LuaError>) -> Void
  /// A challenge for the client of a SASL mechanism.
  private let challenged: ((ByteString) -> Void)?
  private var task: LuaTask?
  private var hasEnded = false

  /// Begins at once; `done` may be called before this returns, and is called once.
  @discardableResult
  init(
    _ plugin: Plugin, _ path: String, _ arguments: [LuaValue], _ meter: HookMeter, _ place: HookPlace,
    challenged: ((ByteString) -> Void)? = nil, done: @escaping (Result<LuaAnswer, LuaError>) -> Void
  ) {
    self.plugin = plugin
    self.meter = meter
    broker = place.broker
    seat = place.seat
    self.challenged = challenged
    self.done = done
    advance { () throws(LuaError) in
      try plugin.lua.start(path, arguments, budget: plugin.hookBudget)
    }
    guard !hasEnded else { return }
    broker.deadlines.after(milliseconds: Self.mostMilliseconds) { [weak self] in
      self?.end(.failure(LuaError(.time, "the hook waited for more than 30 s")))
    }
  }

  /// Nobody wants the answer any more.
  func abandon() {
    hasEnded = true
    task?.cancel()
    task = nil
  }

  /// What the script waits for is there: the values that its call gives back.
  func resume(_ values: [LuaValue]) {
    guard !hasEnded, let task else { return }
    self.task = nil
    advance { () throws(LuaError) in try task.resume(with: .list(values), budget: plugin.hookBudget) }
    seat?.flush()
  }

  private func advance(_ step: () throws(LuaError) -> LuaProgress) {
    do throws(LuaError) {
      switch try plugin.run(meter, step) {
      case .finished(let value): end(.success(value))
      case .waiting(let task, let request):
        self.task = task
        perform(request)
      }
    } catch {
      end(.failure(error))
    }
  }

  private func end(_ result: Result<LuaAnswer, LuaError>) {
    guard !hasEnded else { return }
    hasEnded = true
    task?.cancel()
    task = nil
    done(result)
  }

  // MARK: what a script may wait for

  private func perform(_ request: LuaValue) {
    guard case .list(let parts) = request, parts.count >= 2, let name = parts[0].text else {
      return end(.failure(LuaError(.runtime, "the hook waits for what is not known")))
    }
    switch name {
    case "sleep":
      let seconds = min(max(0, parts[1].number ?? 0), Self.mostSleepSeconds)
      broker.deadlines.after(milliseconds: Int64(seconds * 1000)) { self.resume([]) }
    case "http.request": elsewhere { await HTTPRequests.perform(parts[1]) }
    case "dns.resolve": elsewhere { await DNS.resolve(parts[1].text ?? "") }
    case "challenge":
      guard let challenged else { return fail("challenge is for SASL mechanisms only") }
      challenged(parts[1].octets ?? "")
    default: end(.failure(LuaError(.runtime, "the hook waits for '\(name)', which is not known")))
    }
  }

  /// The call that waits raises an error.
  private func fail(_ text: String) {
    guard let task else { return }
    self.task = nil
    advance { () throws(LuaError) in try task.resume(failing: text, budget: plugin.hookBudget) }
  }

  private func elsewhere(_ work: @escaping @Sendable () async -> [LuaValue]) {
    guard let seat else { return fail("nothing can be waited for here") }
    let loop = seat.loop
    let run = NIOLoopBound(self, eventLoop: loop)
    Task {
      let values = await work()
      loop.execute { run.value.resume(values) }
    }
  }
}

/// What hooks need of the house around them.
struct HookPlace {
  let broker: Broker
  let seat: LoopSeat?
}

extension LuaValue {
  var number: Double? {
    switch self {
    case .integer(let number): Double(number)
    case .number(let number): number
    default: nil
    }
  }
}
