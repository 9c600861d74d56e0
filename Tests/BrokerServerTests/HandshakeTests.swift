/// How a connection begins, in every way that a client may get it wrong, and how it ends.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@testable import BrokerServer

struct LoginCase: Sendable, CustomTestStringConvertible {
  let name: String
  let options: TestClient.Options
  /// nil where the broker only ends the line.
  let code: UInt16?
  let text: String
  var testDescription: String { name }

  init(_ name: String, _ code: UInt16?, _ text: String, _ change: (inout TestClient.Options) -> Void) {
    self.name = name
    self.code = code
    self.text = text
    options = TestClient.Options(change)
  }

  private static func refused(_ mechanism: String) -> String {
    "ACCESS_REFUSED - Login was refused using authentication mechanism \(mechanism). For details see the "
      + "broker logfile."
  }

  /// LOGIN and PASSWORD as a table without its length.
  static func amqplain(_ table: FieldTable) -> ByteString {
    var writer = FieldWriter()
    writer.put(table: table)
    return ByteString(Array(writer.bytes.dropFirst(4)))
  }

  static let all: [LoginCase] = [
    LoginCase("a wrong password", 403, refused("PLAIN")) { $0.password = "wrong" },
    LoginCase("an unknown user", 403, refused("PLAIN")) { $0.user = "nobody" },
    LoginCase("no user", 403, refused("PLAIN")) { $0.user = "" },
    LoginCase("no password", 403, refused("PLAIN")) { $0.password = "" },
    LoginCase("a wrong password without the capability", nil, "") {
      $0.password = "wrong"
      $0.capabilities = [:]
    },
    LoginCase("a wrong password with the capability false", nil, "") {
      $0.password = "wrong"
      $0.capabilities = ["authentication_failure_close": false]
    },
    LoginCase("an unknown mechanism", 503, "COMMAND_INVALID - unknown authentication mechanism 'KERBEROS'") {
      $0.mechanism = "KERBEROS"
    },
    LoginCase("a mechanism in lower case", 503, "COMMAND_INVALID - unknown authentication mechanism 'plain'")
    {
      $0.mechanism = "plain"
    },
    LoginCase("no mechanism", 503, "COMMAND_INVALID - unknown authentication mechanism ''") {
      $0.mechanism = ""
    },
    LoginCase("PLAIN without NUL", 502, "SYNTAX_ERROR - ") { $0.response = "guest" },
    LoginCase("PLAIN with one NUL", 502, "SYNTAX_ERROR - ") { $0.response = "\0guest" },
    LoginCase("PLAIN with three NUL", 502, "SYNTAX_ERROR - ") { $0.response = "\0guest\0guest\0x" },
    LoginCase("PLAIN for somebody else", 502, "SYNTAX_ERROR - ") { $0.response = "other\0guest\0guest" },
    LoginCase("PLAIN with nothing", 502, "SYNTAX_ERROR - ") { $0.response = "" },
    LoginCase("AMQPLAIN with a wrong password", 403, refused("AMQPLAIN")) {
      $0.mechanism = "AMQPLAIN"
      $0.response = amqplain(["LOGIN": "guest", "PASSWORD": "x"])
    },
    LoginCase("AMQPLAIN without a password", 502, "SYNTAX_ERROR - AMQPLAIN auth info is missing") {
      $0.mechanism = "AMQPLAIN"
      $0.response = amqplain(["LOGIN": "guest"])
    },
    LoginCase("AMQPLAIN with a number for a name", 502, "SYNTAX_ERROR - AMQPLAIN auth info is missing") {
      $0.mechanism = "AMQPLAIN"
      $0.response = amqplain(["LOGIN": 5, "PASSWORD": "guest"])
    },
    LoginCase("AMQPLAIN with what is no table", 502, "SYNTAX_ERROR - AMQPLAIN response is not a table") {
      $0.mechanism = "AMQPLAIN"
      $0.response = ByteString([255, 255, 255])
    },
  ]
}

struct TuneCase: Sendable, CustomTestStringConvertible {
  let channelMaximum: UInt16
  let frameMaximum: UInt32
  /// nil where it is accepted.
  let text: String?
  var testDescription: String { "channel_max \(channelMaximum), frame_max \(frameMaximum)" }

  init(_ channelMaximum: UInt16, _ frameMaximum: UInt32, _ text: String?) {
    self.channelMaximum = channelMaximum
    self.frameMaximum = frameMaximum
    self.text = text
  }

  static let all: [TuneCase] = [
    TuneCase(2047, 131_072, nil), TuneCase(1, 8192, nil),
    TuneCase(4000, 131_072, "channel_max = 4000 is higher than the maximum allowed value (2047)"),
    TuneCase(0, 131_072, "channel_max = 0 (no limit) is higher than the maximum allowed value (2047)"),
    TuneCase(2047, 131_073, "frame_max = 131073 is higher than the maximum allowed value (131072)"),
    TuneCase(2047, 0, "frame_max = 0 is higher than the maximum allowed value (131072)"),
    TuneCase(2047, 8191, "frame_max = 8191 is lower than the minimum allowed value (8192)"),
    TuneCase(4000, 200_000, "frame_max = 200000 is higher than the maximum allowed value (131072)"),
  ]
}

/// How far a handshake has come.
enum Stage: String, CaseIterable, Sendable {
  case connected, starting, tuning, opening, running

  static let withChannel0: [Stage] = [.starting, .tuning, .opening, .running]

  /// Takes a client there.
  func reach(_ client: TestClient) async throws {
    if self == .connected { return }
    try await client.greet()
    if self == .starting { return }
    let options = TestClient.Options()
    let offer = try await client.call(options.startOk, on: 0, ConnectionTune.self)
    if self == .tuning { return }
    try await client.send(options.tuneOk(offer), on: 0)
    if self == .opening { return }
    try await client.call(options.open, on: 0, ConnectionOpenOk.self)
  }
}

@Suite struct HandshakeTests {
  @Test(arguments: Depth.all)
  func `a client logs in, opens a channel and leaves`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.raw()
      let start = try await client.greet()
      #expect(start.versionMajor == 0 && start.versionMinor == 9)
      #expect(Set(start.mechanisms.text.split(separator: " ")) == ["PLAIN", "AMQPLAIN"])
      #expect(start.locales == "en_US")
      guard case .table(let capabilities)? = start.serverProperties["capabilities"] else {
        Issue.record("no capabilities")
        return
      }
      let expected: Set<ByteString> = [
        "publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
        "connection.blocked", "consumer_priorities", "authentication_failure_close", "per_consumer_qos",
        "direct_reply_to",
      ]
      #expect(Set(capabilities.fields.map(\.name)) == expected)
      #expect(capabilities.fields.allSatisfy { $0.value == .boolean(true) })
      let offer = try await client.tune()
      #expect(offer.channelMax == 2047 && offer.frameMax == 131_072 && offer.heartbeat == 60)
      try await client.call(TestClient.Options().open, on: 0, ConnectionOpenOk.self)
      try await client.openChannel()
      try await client.fence()
      try await client.logOut()
    }
  }

  @Test(arguments: Depth.all)
  func `a protocol header that is not ours is answered with ours`(_ depth: Depth) async throws {
    let headers: [[UInt8]] = [
      Array("AMQP".utf8) + [1, 1, 0, 10], Array("AMQP".utf8) + [0, 1, 0, 0],
      Array("AMQP".utf8) + [3, 1, 0, 0],
      Array("AMQP".utf8) + [0, 0, 9, 2], Array("AMQP0100".utf8), Array("amqp".utf8) + [0, 0, 9, 1],
      Array("GET / HTTP/1.1\r\n\r\n".utf8), [0x16, 3, 1, 0, 165, 1, 0, 0, 161, 3, 3],
      [UInt8](repeating: 0, count: 8),
    ]
    try await depth.play { house in
      for header in headers {
        let client = try await house.raw()
        try await client.send(octets: header)
        let answer = try await client.next("a header") { arrival in
          if case .protocolHeader(let octets) = arrival { octets } else { nil }
        }
        #expect(answer == Octets.protocolHeader)
        try await client.end()
        #expect(client.transcript.count == 2)
      }
      try await house.expectServing()
    }
  }

  @Test(arguments: Depth.all)
  func `the header of AMQP 0-9 is taken for ours`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.raw()
      try await client.send(octets: Array("AMQP".utf8) + [1, 1, 0, 9])
      _ = try await client.next(ConnectionStart.self, on: 0)
    }
  }

  @Test(arguments: Depth.all)
  func `all of a handshake may come at once`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.raw()
      let options = TestClient.Options()
      let tuneOk = ConnectionTuneOk {
        $0.channelMax = 10
        $0.frameMax = 8192
      }
      try await client.send(
        octets: Octets.protocolHeader + Octets.method(options.startOk, channel: 0)
          + Octets.method(tuneOk, channel: 0) + Octets.method(options.open, channel: 0)
          + Octets.method(ChannelOpen(), channel: 3))
      _ = try await client.next(ConnectionOpenOk.self, on: 0)
      _ = try await client.next(ChannelOpenOk.self, on: 3)
    }
  }

  @Test(arguments: Depth.all, LoginCase.all)
  func `a login that is refused`(_ depth: Depth, _ table: LoginCase) async throws {
    try await depth.play { house in
      let client = try await house.raw()
      try await client.greet()
      try await client.send(table.options.startOk, on: 0)
      if let code = table.code {
        let closed = try await client.connectionError()
        #expect(closed.code == code && closed.text.hasPrefix(table.text), "\(closed)")
        #expect(closed.method == (code == 403 ? MethodID(0, 0) : ConnectionStartOk.id))
      } else {
        try await client.end()
        #expect(client.transcript.count == 2, "start and the end: \(client.transcript)")
      }
      try await house.expectServing()
    }
  }

  @Test(arguments: Depth.all)
  func `AMQPLAIN names user and password in any order`(_ depth: Depth) async throws {
    try await depth.play { house in
      for table in [
        ["LOGIN": "guest", "PASSWORD": "guest"], ["PASSWORD": "guest", "x": 1, "LOGIN": "guest"],
      ] as [FieldTable] {
        let options = TestClient.Options {
          $0.mechanism = "AMQPLAIN"
          $0.response = LoginCase.amqplain(table)
        }
        _ = try await house.client(options)
      }
    }
  }

  @Test func `guest comes from this machine only, others from anywhere`() async throws {
    var settings = Settings()
    settings.users.append(FirstUser(name: "alice", password: "secret"))
    let server = MemoryServer(Broker(settings: settings, clock: FakeClock(), logger: .silent))
    let guest = TestClient(line: server.connect(isLoopback: false))
    try await guest.greet()
    try await guest.send(TestClient.Options().startOk, on: 0)
    #expect(try await guest.connectionError().code == 403)
    let alice = TestClient(line: server.connect(isLoopback: false))
    try await alice.logIn(
      TestClient.Options {
        $0.user = "alice"
        $0.password = "secret"
      })
  }

  @Test(arguments: Depth.whole, TuneCase.all)
  func `what is negotiated has bounds`(_ depth: Depth, _ table: TuneCase) async throws {
    try await depth.play { house in
      let client = try await house.raw()
      try await client.greet()
      try await client.tune(
        TestClient.Options {
          $0.channelMaximum = table.channelMaximum
          $0.frameMaximum = table.frameMaximum
        })
      client.agree(frameMaximum: 131_072)
      try await client.send(TestClient.Options().open, on: 0)
      if let text = table.text {
        let closed = try await client.connectionError()
        #expect(closed.code == 530 && closed.text == "NOT_ALLOWED - negotiated \(text)")
        #expect(closed.method == ConnectionTuneOk.id)
      } else {
        _ = try await client.next(ConnectionOpenOk.self, on: 0)
      }
    }
  }

  @Test(arguments: Depth.all)
  func `a virtual host that is not there`(_ depth: Depth) async throws {
    try await depth.play { house in
      for name in ["nowhere", "", "a/b c'd"] as [ByteString] {
        let client = try await house.raw()
        try await Stage.opening.reach(client)
        try await client.send(ConnectionOpen { $0.virtualHost = name }, on: 0)
        let closed = try await client.connectionError()
        #expect(closed.code == 530 && closed.text == "NOT_ALLOWED - vhost \(name) not found")
        #expect(closed.method == ConnectionOpen.id)
      }
    }
  }

  @Test(arguments: Depth.all, Stage.withChannel0)
  func `a method of the connection out of turn`(_ depth: Depth, _ stage: Stage) async throws {
    let methods: [(Stage?, any Method)] = [
      (.starting, TestClient.Options().startOk), (.tuning, ConnectionTuneOk()), (.opening, ConnectionOpen()),
      (nil, ConnectionSecureOk()), (nil, ConnectionCloseOk()), (nil, ConnectionStart()),
      (nil, ConnectionTune()),
      (nil, ConnectionOpenOk()), (nil, ConnectionBlocked()), (nil, ConnectionUnblocked()),
      (.running, ConnectionUpdateSecret()), (nil, ChannelOpen()), (nil, QueueDeclare()),
      (nil, BasicPublish()),
    ]
    try await depth.play { house in
      for (right, method) in methods where right != stage {
        let client = try await house.raw()
        try await stage.reach(client)
        try await client.send(method, on: 0)
        let closed = try await client.connectionError()
        #expect(closed.code == 504, "\(method)")
        #expect(closed.text == "CHANNEL_ERROR - unexpected method in connection state \(stage.rawValue)")
        #expect(closed.method == type(of: method).id)
      }
      try await house.expectServing()
    }
  }

  @Test(arguments: Depth.all, [Stage.starting, .tuning, .opening])
  func `a channel's method before the connection is open`(_ depth: Depth, _ stage: Stage) async throws {
    try await depth.play { house in
      let client = try await house.raw()
      try await stage.reach(client)
      try await client.send(ChannelOpen(), on: 1)
      let closed = try await client.connectionError()
      #expect(closed.code == 505 && closed.method == MethodID(0, 0))
      #expect(closed.text.hasSuffix("unexpected frame in connection state \(stage.rawValue)"))
    }
  }

  @Test(arguments: Depth.all, Stage.allCases.dropLast())
  func `the handshake has a deadline`(_ depth: Depth, _ stage: Stage) async throws {
    try await depth.play { house in
      let client = try await house.raw()
      try await stage.reach(client)
      let other = try await house.client()
      try await house.advance(seconds: 9.9)
      try await other.fence()
      try await house.advance(seconds: 0.2)
      try await client.end()
      #expect(!client.transcript.contains { $0.contains("ConnectionClose") }, "the line ends without a word")
      try await other.fence()
    }
  }

  @Test(arguments: Depth.whole)
  func `after the handshake there is no deadline`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await house.advance(seconds: 1_000_000)
      try await client.fence()
    }
  }

  @Test(arguments: Depth.all)
  func `a new secret is taken`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.call(
        ConnectionUpdateSecret { $0.newSecret = "anything" }, on: 0, ConnectionUpdateSecretOk.self)
      try await client.fence()
    }
  }
}

@Suite struct ClosingTests {
  @Test(arguments: Depth.all, Stage.withChannel0)
  func `a client may leave at any time, and what follows is not read`(_ depth: Depth, _ stage: Stage)
    async throws
  {
    try await depth.play { house in
      let client = try await house.raw()
      try await stage.reach(client)
      try await client.send(
        octets: Octets.method(ConnectionClose { $0.replyCode = 200 }, channel: 0)
          + Octets.method(QueueDeclare { $0.queue = "late" }))
      _ = try await client.next(ConnectionCloseOk.self, on: 0)
      #expect(try await house.census("late") == nil)
      // It was the client's wish, so the client ends the line; the broker does if it takes too long.
      try await house.advance(seconds: 29)
      try await house.expectServing()
      #expect(client.transcript.last != "end")
      try await house.advance(seconds: 2)
      try await client.end()
    }
  }

  @Test(arguments: Depth.all)
  func `closes that cross are both answered`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.send(ConnectionOpen(), on: 0)
      try await client.send(ConnectionClose { $0.replyCode = 200 }, on: 0)
      let closed = try await client.next(ConnectionClose.self, on: 0).method
      #expect(closed.replyCode == 504)
      _ = try await client.next("close-ok") { arrival in
        if case .method(let received) = arrival { received.method as? ConnectionCloseOk } else { nil }
      }
      try await client.send(ConnectionCloseOk(), on: 0)
      try await client.end()
    }
  }

  @Test(arguments: Depth.all)
  func `after the broker's close everything but its answer is ignored`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.send(ConnectionOpen(), on: 0)
      try await client.send(QueueDeclare { $0.queue = "late" })
      try await client.publish("m", key: "late")
      try await client.send(octets: Octets.method(MethodID(999, 1)) + Octets.frame(77, [1, 2]))
      try await client.send(octets: Octets.frame(8, channel: 0))
      #expect(try await client.connectionError().code == 504)
      #expect(try await house.census("late") == nil)
    }
  }

  /// Half a frame that came before the close is not forgotten, or the answer would not be found behind it.
  @Test func `after the broker's close frames are still told apart`() async throws {
    let late = Octets.method(QueueDeclare { $0.queue = "late" })
    let close = Octets.method(ConnectionClose { $0.replyCode = 200 }, channel: 0)
    try await Depth.memory.play { house in
      func expectAnswer(_ client: TestClient, _ code: UInt16) async throws {
        #expect(try await client.next(ConnectionClose.self, on: 0).method.replyCode == code)
        try await client.send(octets: late.dropFirst(15) + close)
        _ = try await client.next("close-ok") { arrival in
          if case .method(let received) = arrival { received.method as? ConnectionCloseOk } else { nil }
        }
      }
      let (wrong, stopped) = (try await house.client(), try await house.client())
      try await wrong.send(octets: Octets.method(ConnectionOpen(), channel: 0) + late.prefix(15))
      try await expectAnswer(wrong, 504)
      try await stopped.send(octets: Array(late.prefix(15)))
      try await house.stop()
      try await expectAnswer(stopped, 320)
    }
  }

  @Test(arguments: Depth.all)
  func `what was published before a close is confirmed before it`(_ depth: Depth) async throws {
    let endings = [
      Octets.method(ConnectionClose(), channel: 0), Octets.method(ConnectionOpen(), channel: 0),
      Octets.method(ChannelClose()),
    ]
    try await depth.play { house in
      for ending in endings {
        let client = try await house.client()
        try await client.call(ConfirmSelect(), ConfirmSelectOk.self)
        try await client.send(
          octets: Octets.publish(BasicPublish { $0.routingKey = "q" }, body: [1]) + ending)
        #expect(try await client.next(BasicAck.self).method.deliveryTag == 1)
      }
    }
  }

  @Test(arguments: Depth.whole)
  func `a client that does not answer the broker's close is cut off`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.send(ConnectionOpen(), on: 0)
      _ = try await client.next(ConnectionClose.self, on: 0)
      try await house.advance(seconds: 29)
      // It is still there, and answers a close that crosses its own.
      try await client.send(ConnectionClose { $0.replyCode = 200 }, on: 0)
      _ = try await client.next(ConnectionCloseOk.self, on: 0)
      try await house.advance(seconds: 2)
      try await client.end()
    }
  }

  @Test(arguments: Depth.all)
  func `a client may vanish within a frame`(_ depth: Depth) async throws {
    try await depth.play { house in
      let client = try await house.client()
      try await client.declareQueue("q")
      try await client.publish("m", key: "q")
      try await client.send(octets: Array(Octets.method(QueueDeclare { $0.queue = "half" }).dropLast(3)))
      await client.line.close()
      try await house.expectServing()
      #expect(try await house.census("half") == nil)
    }
  }
}
