/// Events and timers that scripts listen to. Knows no connection.

internal import AMQPWire
internal import BrokerCore
internal import DequeModule
internal import LuaRuntime

/// Events are kept until the work that caused them is done: a script never runs in the middle of it.
final class ScriptedEvents: EventListener {
  static let mostWaiting = 10_000
  private let plugin: Plugin
  private let place: HookPlace
  private let names: Set<EventName>
  /// With the hops of the message that caused it: an event that publishes may cause itself.
  private var line = Deque<(name: EventName, value: LuaValue, hops: Int)>()
  private var isScheduled = false
  private var left = 0

  init(_ plugin: Plugin, _ place: HookPlace) {
    self.plugin = plugin
    self.place = place
    names = plugin.manifest.events
  }

  func happened(_ event: Event) {
    guard names.contains(event.name) else { return }
    guard line.count < Self.mostWaiting else {
      left += 1
      return
    }
    line.append((event.name, event.value, place.broker.later.hops))
    schedule()
  }

  private func schedule() {
    guard !isScheduled else { return }
    isScheduled = true
    place.broker.deadlines.after(milliseconds: 0) { [weak self] in self?.run() }
  }

  private func run() {
    isScheduled = false
    for _ in 0..<100 {
      guard let (name, value, hops) = line.popFirst() else { break }
      let hook = "events.\(name.rawValue)"
      place.broker.later.caused(by: hops) {
        HookRun(plugin, hook, [value], plugin.meter(hook), place) { [plugin] result in
          if case .failure(let error) = result { plugin.report(error, hook) }
        }
      }
    }
    if left > 0 {
      plugin.log(.warning, "\(left) events were left out: more than \(Self.mostWaiting) waited")
      left = 0
    }
    if !line.isEmpty { schedule() }
  }
}

extension Event {
  fileprivate var name: EventName {
    switch self {
    case .connectionOpened: .connectionOpened
    case .connectionClosed: .connectionClosed
    case .queueCreated: .queueCreated
    case .queueDeleted: .queueDeleted
    case .exchangeCreated: .exchangeCreated
    case .exchangeDeleted: .exchangeDeleted
    case .messageDropped: .messageDropped
    case .alarmRaised: .alarmRaised
    case .alarmCleared: .alarmCleared
    }
  }

  fileprivate var value: LuaValue {
    var fields: [String: LuaValue] = [:]
    switch self {
    case .connectionOpened(let connection): fields = connection.fields
    case .connectionClosed(let connection, let reason):
      fields = connection.fields
      fields["reason"] = .text(reason)
    case .queueCreated(let queue), .queueDeleted(let queue):
      fields = [
        "vhost": LuaValue(queue.vhost.name), "name": LuaValue(queue.name), "durable": .boolean(queue.durable),
        "auto_delete": .boolean(queue.autoDelete), "exclusive": .boolean(queue.owner != nil),
        "arguments": LuaValue(queue.arguments),
      ]
    case .exchangeCreated(let exchange), .exchangeDeleted(let exchange):
      fields = [
        "vhost": LuaValue(exchange.vhost.name), "name": LuaValue(exchange.name),
        "type": LuaValue(exchange.typeName), "durable": .boolean(exchange.durable),
        "auto_delete": .boolean(exchange.autoDelete), "internal": .boolean(exchange.isInternal),
        "arguments": LuaValue(exchange.arguments),
      ]
    case .messageDropped(let message):
      fields = [
        "vhost": LuaValue(message.vhost), "exchange": LuaValue(message.exchange),
        "routing_key": LuaValue(message.routingKey), "reason": .text(message.reason),
      ]
      fields["queue"] = message.queue.map { LuaValue($0) }
    case .alarmRaised(let name), .alarmCleared(let name): fields = ["name": .text(name)]
    }
    return .table(fields)
  }
}

extension ConnectionEvent {
  fileprivate var fields: [String: LuaValue] {
    [
      "peer": peer.value, "user": .text(user), "vhost": LuaValue(vhost), "client": LuaValue(clientProperties),
    ]
  }
}

/// The timers of one plugin, until it is no longer in force.
final class ScriptedTimers {
  private let plugin: Plugin
  private let place: HookPlace
  private var isStopped = false
  /// When each is due, by its index.
  private var dues: [UInt64] = []

  /// - Parameter old: those of the version before: a timer of the same place and period keeps its time
  init(_ plugin: Plugin, _ place: HookPlace, after old: ScriptedTimers?) {
    self.plugin = plugin
    self.place = place
    let now = place.broker.clock.nanoseconds
    for (index, timer) in plugin.manifest.timers.enumerated() {
      var due = now + Self.nanoseconds(timer)
      if let old, old.dues.indices.contains(index), old.plugin.manifest.timers[index] == timer {
        due = max(now, old.dues[index])
      }
      dues.append(due)
      set(index, timer, isRunning: Running())
    }
  }

  func stop() { isStopped = true }

  private final class Running { var isTrue = false }

  private static func nanoseconds(_ timer: TimerManifest) -> UInt64 { UInt64(timer.everySeconds * 1e9) }

  private func set(_ index: Int, _ timer: TimerManifest, isRunning: Running) {
    let clock = place.broker.clock
    let now = clock.nanoseconds
    let milliseconds = Int64((dues[index] - min(dues[index], now)) / 1_000_000)
    place.broker.deadlines.after(milliseconds: milliseconds) { [weak self] in
      guard let self, !isStopped else { return }
      dues[index] = max(dues[index], clock.nanoseconds) + Self.nanoseconds(timer)
      if !isRunning.isTrue { run(index, isRunning) }
      set(index, timer, isRunning: isRunning)
    }
  }

  private func run(_ index: Int, _ isRunning: Running) {
    let hook = "timers.\(index + 1)"
    isRunning.isTrue = true
    HookRun(plugin, "\(hook).run", [], plugin.meter(hook), place) { [plugin] result in
      isRunning.isTrue = false
      if case .failure(let error) = result { plugin.report(error, hook) }
    }
  }
}
