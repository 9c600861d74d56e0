/// Who may log in: authenticators one after the other, now and later, and mechanisms with challenges.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@testable import BrokerServer

@Suite struct LoginTests {
  private static func install(_ house: House, later: Bool = false, internalFirst: Bool = true) async throws {
    try await house.inBroker { broker in
      let first = Registrar("first", ["alice": Identity(name: "alice"), "mallory": Identity?.none])
      let second = Registrar(
        "second",
        [
          "bob": Identity(name: "robert", tags: ["impersonator"]), "mallory": Identity(name: "mallory"),
          "guest": Identity(name: "other-guest"),
        ])
      first.answersLater = later
      second.answersLater = later
      broker.hooks.authenticators += [first, second] as [any Authenticator]
    }
  }

  private static func refusal(of client: TestClient, _ options: TestClient.Options) async throws -> String {
    try await client.greet()
    try await client.send(options.startOk, on: 0)
    return try await client.connectionError().text
  }

  private static func settle(_ house: House, _ name: String) async throws {
    try await house.eventually("\(name) is asked") { try !$0.registrar(name).pending.isEmpty }
    try await house.inBroker { try $0.registrar(name).answerAll() }
  }

  private static let refused =
    "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile."

  @Test(arguments: Depth.all)
  func `the first that knows the user decides`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.install(house)
      // The broker's own user, then one of each of the others; a password that is wrong here may be right there.
      for (user, name) in [("alice", "alice"), ("bob", "robert"), ("guest", "other-guest")] {
        let client = try await house.client(.user(user))
        try await client.fence()
        let found = try await house.inConnections(of: name) { $0.count }
        #expect(found == 1, "\(user) is \(name)")
        try await client.logOut()
      }
      try await house.client().logOut()
      for user in ["mallory", "nobody"] {
        #expect(try await Self.refusal(of: house.raw(), .user(user)) == Self.refused)
      }
      let wrong = TestClient.Options.user("alice") { $0.password = "wrong" }
      #expect(try await Self.refusal(of: house.raw(), wrong) == Self.refused)
      let asked = try await house.inBroker { try $0.registrar("first").asked.first.map { "\($0)" } ?? "" }
      #expect(asked.contains("PLAIN") && asked.contains("isLoopback: true"))
    }
  }

  @Test(arguments: Depth.all)
  func `what comes while somebody decides waits, and is answered in order`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.install(house, later: true)
      let client = try await house.raw()
      let options = TestClient.Options.user("bob")
      let tuneOk = ConnectionTuneOk {
        $0.channelMax = 10
        $0.frameMax = 8192
      }
      try await client.send(
        octets: Octets.protocolHeader + Octets.method(options.startOk, channel: 0)
          + Octets.method(tuneOk, channel: 0) + Octets.method(options.open, channel: 0)
          + Octets.method(ChannelOpen()) + Octets.method(QueueDeclare { $0.queue = "q" }))
      try await Self.settle(house, "first")
      let other = try await house.client()
      try await other.fence()
      #expect(try await house.census("q") == nil)
      #expect(client.transcript.allSatisfy { !$0.contains("ConnectionTune") })
      try await Self.settle(house, "second")
      _ = try await client.next(ConnectionTune.self, on: 0)
      client.agree(frameMaximum: 8192)
      #expect(try await client.next(QueueDeclareOk.self).method.queue == "q")
    }
  }

  @Test(arguments: Depth.whole)
  func `a login that is refused later`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.install(house, later: true)
      for (user, capable) in [("mallory", true), ("mallory", false), ("nobody", true)] {
        let client = try await house.raw()
        try await client.greet()
        try await client.send(
          TestClient.Options.user(user) { if !capable { $0.capabilities = [:] } }.startOk, on: 0)
        try await Self.settle(house, "first")
        if user == "nobody" { try await Self.settle(house, "second") }
        if capable {
          #expect(try await client.connectionError().text == Self.refused)
        } else {
          try await client.end()
        }
      }
    }
  }

  @Test(arguments: Depth.all)
  func `a handshake has its deadline whoever is waited for, and a late answer does nothing`(
    _ depth: Depth
  ) async throws {
    try await depth.play { house in
      try await Self.install(house, later: true)
      let client = try await house.raw()
      try await client.greet()
      try await client.send(TestClient.Options.user("alice").startOk, on: 0)
      try await house.eventually("asked") { try !$0.registrar("first").pending.isEmpty }
      try await house.advance(seconds: 10.1)
      try await client.end()
      try await house.inBroker { try $0.registrar("first").answerAll() }
      try await house.expectServing()
    }
  }

  @Test(arguments: Depth.whole)
  func `clients may vanish while somebody decides`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.install(house, later: true)
      for _ in 0..<10 {
        let client = try await house.raw()
        try await client.greet()
        try await client.send(TestClient.Options.user("alice").startOk, on: 0)
        await client.line.close()
      }
      try await house.eventually("all asked") { try $0.registrar("first").pending.count == 10 }
      try await house.expectServing()
      try await house.inBroker { try $0.registrar("first").answerAll() }
      try await house.expectServing()
      #expect(try await house.inConnections(of: "alice") { $0.count } == 0)
    }
  }

  @Test(arguments: Depth.whole)
  func `many logins may be in flight, and are answered in any order`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.install(house, later: true)
      var clients: [TestClient] = []
      for _ in 0..<50 {
        let client = try await house.raw()
        try await client.greet()
        try await client.send(TestClient.Options.user("alice").startOk, on: 0)
        clients.append(client)
      }
      try await house.eventually("all asked") { try $0.registrar("first").pending.count == 50 }
      try await house.inBroker { try $0.registrar("first").answerAll() }
      for client in clients { _ = try await client.next(ConnectionTune.self, on: 0) }
    }
  }

  @Test(arguments: Depth.whole)
  func `only an impersonator may publish in another's name`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.install(house)
      var properties = BasicProperties()
      properties.userID = "somebody"
      let (bob, alice) = (try await house.client(.user("bob")), try await house.client(.user("alice")))
      try await bob.declareQueue("q")
      try await bob.publish("m", key: "q", properties: properties)
      #expect(try await bob.get("q")?.content.properties.userID == "somebody")
      try await alice.publish("m", key: "q", properties: properties)
      #expect(
        try await alice.channelError().text
          == "PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was 'alice'")
    }
  }
}

@Suite struct MechanismTests {
  private static let options = TestClient.Options {
    $0.mechanism = "BACKWARDS"
    $0.response = "first"
  }

  private static func install(
    _ house: House, _ challenges: [ByteString], later: Bool = false
  ) async throws {
    try await house.inBroker { broker in
      let mechanism = Backwards(challenges)
      mechanism.answersLater = later
      broker.hooks.saslMechanisms = [
        "BACKWARDS": mechanism, "ANOTHER": Backwards([]), "TWO WORDS": Backwards([]),
      ]
    }
  }

  private static func decide(_ house: House, _ later: Bool) async throws {
    guard later else { return }
    try await house.eventually("the mechanism is asked") { try !$0.backwards().pending.isEmpty }
    try await house.inBroker { try $0.backwards().answerAll() }
  }

  private static func answer(_ challenge: ConnectionSecure) -> ConnectionSecureOk {
    ConnectionSecureOk { $0.response = ByteString(challenge.challenge.bytes.reversed()) }
  }

  @Test(arguments: Depth.all, [true, false])
  func `challenges are answered until the mechanism is content`(_ depth: Depth, _ later: Bool) async throws {
    try await depth.play { house in
      try await Self.install(house, ["abc", "", "def"], later: later)
      let client = try await house.raw()
      #expect(try await client.greet().mechanisms == "PLAIN AMQPLAIN ANOTHER BACKWARDS")
      try await client.send(Self.options.startOk, on: 0)
      for expected in ["abc", "", "def"] as [ByteString] {
        try await Self.decide(house, later)
        let challenge = try await client.next(ConnectionSecure.self, on: 0).method
        #expect(challenge.challenge == expected)
        try await client.send(Self.answer(challenge), on: 0)
      }
      try await Self.decide(house, later)
      let offer = try await client.next(ConnectionTune.self, on: 0).method
      try await client.send(Self.options.tuneOk(offer), on: 0)
      try await client.call(Self.options.open, on: 0, ConnectionOpenOk.self)
      #expect(try await house.inConnections(of: "backwards-first") { $0.count } == 1)
    }
  }

  @Test(arguments: Depth.whole, ["wrong", ""])
  func `a wrong response is refused like a wrong password`(_ depth: Depth, _ response: String) async throws {
    try await depth.play { house in
      try await Self.install(house, ["abc"])
      let client = try await house.raw()
      try await client.greet()
      try await client.call(Self.options.startOk, on: 0, ConnectionSecure.self)
      try await client.send(ConnectionSecureOk { $0.response = ByteString(response) }, on: 0)
      #expect(
        try await client.connectionError().text
          == "ACCESS_REFUSED - Login was refused using authentication mechanism BACKWARDS. For details see the "
          + "broker logfile.")
    }
  }

  @Test(arguments: Depth.whole)
  func `a mechanism cannot ask for ever`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.install(house, Array(repeating: "x", count: 1000))
      let client = try await house.raw()
      try await client.greet()
      try await client.send(Self.options.startOk, on: 0)
      for _ in 0..<Settings.challengeMaximum {
        let challenge = try await client.next(ConnectionSecure.self, on: 0).method
        try await client.send(Self.answer(challenge), on: 0)
      }
      #expect(try await client.connectionError().code == 403)
      #expect(try await house.inBroker { try $0.backwards().abandoned } == 1)
    }
  }

  @Test(arguments: Depth.all)
  func `a client that vanishes within a login leaves nothing behind`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await Self.install(house, ["abc"])
      let client = try await house.raw()
      try await client.greet()
      try await client.call(Self.options.startOk, on: 0, ConnectionSecure.self)
      await client.line.close()
      try await house.eventually("the mechanism hears of it") { try $0.backwards().abandoned == 1 }
    }
  }

  @Test(arguments: Depth.whole)
  func `the methods of a login have their turns`(_ depth: Depth) async throws {
    func error(_ state: String) -> String { "CHANNEL_ERROR - unexpected method in connection state \(state)" }
    try await depth.play { house in
      try await Self.install(house, ["abc"])
      let early = try await house.raw()
      try await early.greet()
      try await early.send(ConnectionSecureOk(), on: 0)
      #expect(try await early.connectionError().text == error("starting"))

      for method in [
        Octets.method(Self.options.startOk, channel: 0), Octets.method(ConnectionTuneOk(), channel: 0),
      ] {
        let client = try await house.raw()
        try await client.greet()
        try await client.call(Self.options.startOk, on: 0, ConnectionSecure.self)
        try await client.send(octets: method)
        #expect(try await client.connectionError().text == error("securing"))
      }
      let late = try await house.client()
      try await late.send(ConnectionSecureOk(), on: 0)
      #expect(try await late.connectionError().text == error("running"))
    }
  }
}

@Suite struct ConnectionEventTests {
  @Test(arguments: Depth.all)
  func `listeners hear of connections, and why they end`(_ depth: Depth) async throws {
    try await depth.play { house in
      try await house.inBroker { $0.hooks.listeners = [Chronicler()] }
      func expect(_ lines: [String]) async throws {
        try await house.eventually("\(lines)") { try $0.chronicle().suffix(lines.count).elementsEqual(lines) }
      }
      let opened = "opened guest / true"
      let first = try await house.client()
      try await expect([opened])
      try await first.send(
        ConnectionClose {
          $0.replyCode = 200
          $0.replyText = "bye"
        }, on: 0)
      try await expect([opened, "closed guest /: closed by the client: 200 bye"])
      let second = try await house.client()
      await second.line.close()
      try await expect([opened, "closed guest /: client unexpectedly closed TCP connection"])
      let third = try await house.client()
      try await third.send(ConnectionOpen(), on: 0)
      _ = try await third.connectionError()
      try await expect([
        opened, "closed guest /: CHANNEL_ERROR - unexpected method in connection state running",
      ])
      // Nobody hears of those that never opened a virtual host.
      let fourth = try await house.raw()
      try await fourth.greet()
      await fourth.line.close()
      try await house.expectServing()
      try await expect(["closed guest /: closed by the client: 200 "])
      #expect(try await house.inBroker { try $0.chronicle().count } == 8)
    }
  }
}
