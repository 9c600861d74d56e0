/// The connection and its channels against chance: valid frames in any order, damaged ones, pieces of any
/// size, clients that do not read and clients that vanish. The broker goes on, and gives back what they held.
///
///     SERVER_FUZZ_SEED=3 swift test --filter FuzzTests      one seed
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

@testable import BrokerServer

@Suite struct FuzzTests {
  /// A seed that failed is added, with what it found.
  static let seeds = Seeds.of("SERVER_FUZZ_SEED", Array(1...8))

  @Test(arguments: seeds)
  func `random frames stop nothing, and what their senders held comes back`(_ seed: UInt64) async throws {
    let fuzz = try await Fuzz(seed: seed)
    Seeds.announce("server fuzz: seed \(seed), \(Fuzz.frames) frames")
    while fuzz.sent < Fuzz.frames {
      try await fuzz.step()
      if fuzz.sent % 100 == 0 { try await fuzz.expectServing() }
    }
    try await fuzz.end()
    // A fuzzer whose connections all end at once, or never, tests half of the code.
    #expect(
      (Fuzz.frames / 200..<Fuzz.frames / 5).contains(fuzz.connections), "\(fuzz.connections) connections")
    #expect(fuzz.deliveries > Fuzz.frames / 10, "\(fuzz.deliveries) deliveries")
    #expect(fuzz.channelErrors > 50, "\(fuzz.channelErrors) channel errors")
  }

  @Test(arguments: seeds.prefix(2))
  func `random frames over TCP stop nothing`(_ seed: UInt64) async throws {
    Seeds.announce("server fuzz over TCP: seed \(seed)")
    try await Depth.tcp.play { house in
      var fields = RandomFields(chance: Chance(seed: seed))
      let witness = try await house.client()
      for round in 0..<60 {
        let client = try await house.client(channels: [1, 2, 3])
        for _ in 0..<50 {
          let channel = UInt16(1 + fields.chance.below(3))
          var octets =
            fields.chance.oneIn(3)
            ? fields.publish(channel: channel)
            : fields.frame(fields.chance.pick(RandomMethods.ofClients), channel: channel)
          if fields.chance.oneIn(60) { octets = fields.chance.damaged(octets) }
          try await client.send(octets: octets)
        }
        await client.line.close()
        if round % 10 == 0 { try await witness.fence() }
      }
      try await house.expectServing()
      try await house.eventually("nobody holds anything") { $0.holdings.isEmpty }
    }
  }

  /// Only confirms may differ: how many go into one depends on how much is read at once.
  @Test(arguments: seeds)
  func `valid frames are answered alike, however they are cut`(_ seed: UInt64) async throws {
    Seeds.announce("server fuzz, cut: seed \(seed)")
    var fields = RandomFields(chance: Chance(seed: seed))
    for round in 0..<25 {
      let frames = (0..<40).map { _ in
        let channel = UInt16(1 + fields.chance.below(3))
        let type = fields.chance.pick(RandomMethods.ofClients)
        // A shared limit that makes room for several queues says nothing of which comes first.
        let isLeftOut = type == ConfirmSelect.self || type == BasicQos.self
        return isLeftOut || fields.chance.oneIn(3)
          ? fields.publish(channel: channel) : fields.frame(type, channel: channel)
      }
      let whole = try await Self.transcript([frames.flatMap { $0 }])
      let byFrame = try await Self.transcript(frames)
      let byOctet = try await Self.transcript(frames.flatMap { $0 }.map { [$0] })
      let inPieces = try await Self.transcript(fields.chance.pieces(frames.flatMap { $0 }))
      #expect(whole == byFrame, "seed \(seed), round \(round)")
      #expect(whole == byOctet, "seed \(seed), round \(round)")
      #expect(whole == inPieces, "seed \(seed), round \(round)")
    }
  }

  /// Every operation of one side waits for each of its permissions, and nothing is kept.
  @Test(arguments: seeds)
  func `frames that wait are answered alike, however long`(_ seed: UInt64) async throws {
    Seeds.announce("server fuzz, waiting: seed \(seed)")
    var fields = RandomFields(chance: Chance(seed: seed))
    var waits = 0
    for round in 0..<25 {
      let frames = (0..<60).map { _ in
        let channel = UInt16(1 + fields.chance.below(3))
        let type = fields.chance.pick(RandomMethods.ofClients)
        let isLeftOut = type == ConfirmSelect.self || type == BasicQos.self
        return isLeftOut || fields.chance.oneIn(3)
          ? fields.publish(channel: channel) : fields.frame(type, channel: channel)
      }
      let oracles = (0..<3).map { _ in Oracle() }
      for oracle in oracles {
        oracle.refusedLengths = 29
        oracle.answersLater = oracle !== oracles[0]
      }
      let octets = frames.flatMap { $0 }
      let atOnce = try await Self.transcript([octets], oracles[0])
      let later = try await Self.transcript([octets], oracles[1])
      let inPieces = try await Self.transcript(fields.chance.pieces(octets), oracles[2])
      #expect(atOnce == later, "seed \(seed), round \(round)")
      #expect(atOnce == inPieces, "seed \(seed), round \(round)")
      waits += oracles[1].asked.count
    }
    #expect(waits > 100, "\(waits) waits")
  }

  /// What a client is told that sends these octets, names of chance made equal.
  /// - Parameter oracle: restricts the client, and keeps nothing
  private static func transcript(_ writes: [[UInt8]], _ oracle: Oracle? = nil) async throws -> [String] {
    var settings = Settings()
    settings.accessCacheSeconds = 0
    let server = MemoryServer(Broker(settings: settings, clock: FakeClock(), logger: .silent))
    let client = TestClient(line: server.connect())
    try await client.logIn()
    server.withBroker { broker in
      guard let oracle else { return }
      broker.hooks.authorizers = [oracle]
      broker.hooksChanged()
    }
    oracle?.restrictsGuest = true
    func answer() {
      while let oracle, !oracle.pending.isEmpty { server.withBroker { _ in oracle.answerAll() } }
    }
    for channel in 1...3 as ClosedRange<UInt16> { try await client.openChannel(channel) }
    for write in writes {
      try await client.send(octets: write)
      answer()
    }
    while try await client.hear() { answer() }
    return client.transcript.map { line in
      line.replacing(/amq\.(gen|ctag|rabbitmq\.reply-to\.g1)[-.][A-Za-z0-9_-]{22}/, with: "<made>")
    }
  }
}

/// What clients hold of the broker: a line for each queue that somebody owns, consumes or has messages of.
extension Broker {
  var holdings: [String] {
    vhosts.values.flatMap(\.queues).filter {
      $0.owner != nil || $0.consumerCount > 0 || $0.unsettledCount > 0
    }
    .map { "\($0.name): \($0.consumerCount) consumers, \($0.unsettledCount) unsettled" }
  }
}

/// Clients by chance on one broker in memory, whose limits are so low that they are met all the time.
private final class Fuzz {
  static let frames = 4000

  private let clock = FakeClock()
  private let server: MemoryServer
  private var fields: RandomFields
  private var witness: TestClient
  private var clients: [Client] = []
  private(set) var sent = 0
  private(set) var connections = 0
  private(set) var deliveries = 0
  private(set) var channelErrors = 0

  /// A client, and what it knows of its connection.
  private final class Client {
    let client: TestClient
    var open: Set<UInt16> = []
    var tags: [UInt16: [UInt64]] = [:]
    /// So many steps it does not read.
    var sleeps = 0
    var isOver = false

    init(_ client: TestClient) { self.client = client }
  }

  init(seed: UInt64) async throws {
    var settings = Settings()
    settings.outboxLimit = 3000
    settings.bodyMaximum = 500
    fields = RandomFields(chance: Chance(seed: seed))
    server = MemoryServer(Broker(settings: settings, clock: clock, logger: .silent), marks: 500...2000)
    witness = TestClient(line: server.connect())
    try await witness.logIn()
    try await witness.openChannel()
    try await witness.declareQueue("witness")
  }

  func expectServing() async throws {
    try await witness.publish("m", key: "witness")
    let got = try await witness.get("witness")
    #expect(got?.content.text == "m")
  }

  // MARK: a step

  func step() async throws {
    clients.removeAll(where: \.isOver)
    if clients.count < 3 { clients.append(try await connect()) }
    let client = fields.chance.pick(clients)
    try await send(client)
    if fields.chance.oneIn(300) {
      await client.client.line.close()
      client.isOver = true
    }
    if fields.chance.oneIn(50) { client.sleeps = fields.chance.below(30) }
    if client.sleeps > 0 { client.sleeps -= 1 } else { try await read(client) }
    if fields.chance.oneIn(100) {
      clock.advance(seconds: 0.7)
      server.tick()
    }
  }

  private func connect() async throws -> Client {
    connections += 1
    let client = TestClient(
      line: server.connect(), octetsPerWrite: fields.chance.oneIn(4) ? 1 + fields.chance.below(20) : nil)
    if fields.chance.oneIn(10) {
      // A handshake with an accident.
      let options = TestClient.Options()
      for octets in [Octets.protocolHeader, Octets.method(options.startOk, channel: 0)] {
        try await client.send(octets: fields.chance.oneIn(2) ? fields.chance.damaged(octets) : octets)
      }
      return Client(client)
    }
    try await client.logIn(
      TestClient.Options {
        $0.frameMaximum = 8192
        $0.channelMaximum = 4
        if fields.chance.oneIn(2) { $0.capabilities = [:] }
      })
    return Client(client)
  }

  private func send(_ client: Client) async throws {
    let channel = UInt16(1 + fields.chance.below(4))
    fields.tags = client.tags[channel] ?? []
    var octets: [UInt8]
    if !client.open.contains(channel), !fields.chance.oneIn(50) {
      octets = Octets.method(ChannelOpen(), channel: channel)
      client.open.insert(channel)
    } else {
      octets = randomFrame(channel)
    }
    if fields.chance.oneIn(100) { octets = fields.chance.damaged(octets) }
    sent += 1
    for piece in fields.chance.oneIn(8) ? fields.chance.pieces(octets) : [octets] {
      try await client.client.send(octets: piece)
    }
  }

  private func randomFrame(_ channel: UInt16) -> [UInt8] {
    switch fields.chance.below(100) {
    case 0..<25: return fields.publish(channel: channel)
    case 25..<94: return fields.frame(fields.chance.pick(RandomMethods.ofClients), channel: channel)
    case 94..<96: return fields.frame(fields.chance.pick(RandomMethods.ofTransactions), channel: channel)
    case 96:
      return fields.frame(fields.chance.pick(RandomMethods.all), channel: fields.chance.pick([0, channel]))
    case 97...98: return Octets.frame(8, channel: 0)
    default: return Octets.frame(fields.chance.pick([1, 2, 3, 8, 9]), channel: channel, [1, 2, 3, 4, 5])
    }
  }

  // MARK: what comes back

  /// Reads what there is, and answers closes, mostly.
  private func read(_ client: Client) async throws {
    while try await client.client.hear() {}
    for arrival in client.client.takeAll() {
      switch arrival {
      case .end: client.isOver = true
      case .method(let received): try await answer(received, client)
      default: break
      }
    }
  }

  private func answer(_ received: Received, _ client: Client) async throws {
    switch received.method {
    case let method as BasicDeliver:
      deliveries += 1
      client.tags[received.channel, default: []].append(method.deliveryTag)
    case let method as BasicGetOk: client.tags[received.channel, default: []].append(method.deliveryTag)
    case is ChannelClose:
      channelErrors += 1
      client.open.remove(received.channel)
      client.tags[received.channel] = nil
      if !fields.chance.oneIn(20) { try await client.client.send(ChannelCloseOk(), on: received.channel) }
    case is ChannelCloseOk:
      client.open.remove(received.channel)
      client.tags[received.channel] = nil
    case is ConnectionClose:
      if fields.chance.oneIn(4) {
        await client.client.line.close()
      } else {
        try await client.client.send(ConnectionCloseOk(), on: 0)
      }
      client.isOver = true
    default: break
    }
  }

  /// All vanish but the witness, and nobody holds anything any more.
  func end() async throws {
    for client in clients { await client.client.line.close() }
    clients = []
    // Those that were over had not all ended their lines.
    clock.advance(seconds: 100)
    server.tick()
    server.tick()
    try await expectServing()
    let holdings = server.withBroker { $0.holdings }
    #expect(holdings == [])
    let (queues, lines) = (server.withBroker { $0.vhosts["/"]?.queues.count ?? 0 }, server.lineCount)
    #expect(lines == 1, "only the witness is connected")
    #expect(queues > 0)
  }
}
