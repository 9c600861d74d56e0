/// Who may log in, and the numbers of connections.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Logging
import Synchronization
import Testing

/// A log that keeps its lines.
private final class Log: LogHandler {
  private let lines = Mutex<[String]>([])
  var all: [String] { lines.withLock { $0 } }
  var metadata: Logger.Metadata {
    get { [:] }
    set {}
  }
  var logLevel: Logger.Level {
    get { .trace }
    set {}
  }
  subscript(metadataKey _: String) -> Logger.Metadata.Value? {
    get { nil }
    set {}
  }

  func log(event: LogEvent) { lines.withLock { $0.append("\(event.message)") } }
}

@Suite struct BrokerTests {
  private static func logIn(
    _ core: Core, _ user: ByteString, _ password: ByteString, fromLoopback: Bool = true
  )
    -> String
  {
    let login = LoginRequest(
      mechanism: "PLAIN", user: user, password: password, response: "",
      peer: PeerAddress(address: "peer", port: 1, isLoopback: fromLoopback), clientProperties: [:])
    return switch core.broker.hooks.authenticate(login) {
    case .now(.allowed(let identity)): "accepted \(identity.name)"
    case .now(.denied(let reason)): reason
    case .now(.unknown): "unknown"
    case .later: "later"
    }
  }

  private static func core() -> Core {
    var settings = Settings()
    settings.users = [
      FirstUser(name: "guest", password: "guest"), FirstUser(name: "alice", password: "sécret"),
      FirstUser(name: "nobody", password: ""),
    ]
    return Core(settings)
  }

  @Test func `the right password is accepted`() {
    let core = Self.core()
    #expect(Self.logIn(core, "guest", "guest") == "accepted guest")
    #expect(Self.logIn(core, "alice", "sécret", fromLoopback: false) == "accepted alice")
  }

  @Test func `all else is refused, and the log alone says why`() {
    let core = Self.core()
    let wrong: [(ByteString, ByteString)] = [
      ("guest", "Guest"), ("guest", ""), ("nobody", ""), ("guest", "guestguest"), ("guest", "gues"),
      ("Guest", "guest"),
      ("", ""),
      ("", "guest"), ("alice", "se\u{301}cret"), ("alice", "guest"),
    ]
    for (user, password) in wrong {
      #expect(Self.logIn(core, user, password) == "user '\(user)' - invalid credentials")
    }
  }

  @Test func `guest may come from this machine only`() {
    let core = Self.core()
    #expect(
      Self.logIn(core, "guest", "guest", fromLoopback: false) == "user 'guest' can only connect via localhost"
    )
    #expect(Self.logIn(core, "guest", "x", fromLoopback: false) == "user 'guest' - invalid credentials")
  }

  @Test func `refused messages are logged once a second at most, with how many there were`() {
    let (clock, log) = (FakeClock(), Log())
    let broker = Broker(clock: clock, logger: Logger(label: "test") { _ in log })
    for number in 1...3 { broker.logRefusal { "refused \(number)" } }
    clock.advance(seconds: 0.9)
    broker.logRefusal { "refused 4" }
    #expect(log.all == ["refused 1"])
    clock.advance(seconds: 0.2)
    broker.logRefusal { "refused 5" }
    clock.advance(seconds: 1)
    broker.logRefusal { "refused 6" }
    #expect(log.all == ["refused 1", "refused 5 (and 3 more since this was last said)", "refused 6"])
  }

  @Test func `connections have numbers of their own`() {
    let core = Core()
    #expect(Set((0..<100).map { _ in core.broker.nextConnectionID() }).count == 100)
  }

  @Test func `the system's clock goes on and never back`() {
    let clock = SystemClock()
    var last = clock.nanoseconds
    for _ in 0..<1000 {
      let now = clock.nanoseconds
      #expect(now >= last)
      last = now
    }
  }

  @Test func `the fake clock stands until it is moved`() {
    let clock = FakeClock()
    let start = clock.nanoseconds
    #expect(clock.nanoseconds == start)
    clock.advance(seconds: 1.5)
    #expect(clock.nanoseconds == start + 1_500_000_000)
  }
}
