/// The broker's own users: what is kept of their passwords, and what an operator may ask for.
import AMQPWire
import BrokerTestKit
import Testing

@testable import BrokerCore

@Suite struct UserTests {
  private let core = Core()
  private var users: Users { core.broker.users }

  @Test func `a hash that RabbitMQ made is one here`() throws {
    // From https://www.rabbitmq.com/docs/passwords: "test12", salt 908DC60A.
    let octets: [UInt8] = [
      0x90, 0x8D, 0xC6, 0x0A, 0xA5, 0xB9, 0x24, 0xB3, 0x09, 0x6B, 0x88, 0x97, 0xD6, 0x5A, 0x3B, 0x5F, 0x80,
      0xFA, 0x5D, 0xB6, 0x2A, 0x94, 0xB8, 0x31, 0x22, 0xCD, 0xF4, 0xF8, 0xFE, 0xAD, 0x10, 0xD5, 0x15, 0xD8,
      0xF3, 0x91,
    ]
    let hash = try #require(PasswordHash(octets: octets, .sha256))
    #expect(hash.matches("test12"))
    for wrong: ByteString in ["test1", "test123", "Test12", ""] { #expect(!hash.matches(wrong)) }
    #expect(PasswordHash(octets: octets, .sha512) == nil)
    #expect(PasswordHash(octets: Array(octets.dropLast()), .sha256) == nil)
  }

  @Test(arguments: PasswordHash.Algorithm.allCases)
  func `a password has another hash each time, and all of them match`(_ algorithm: PasswordHash.Algorithm) {
    let (one, other) = (PasswordHash(of: "s3cret", algorithm), PasswordHash(of: "s3cret", algorithm))
    #expect(one != other)
    #expect(one.matches("s3cret") && other.matches("s3cret") && !one.matches("s3cre"))
    #expect(PasswordHash(octets: one.octets, algorithm) == one)
  }

  private func refused(_ work: () throws(Refusal) -> Void) -> String {
    do throws(Refusal) {
      try work()
      return "done"
    } catch {
      return error.text
    }
  }

  @Test func `what an operator asks for in vain is said`() throws {
    try users.add(User(name: "alice", password: nil))
    #expect(
      refused { () throws(Refusal) in try users.add(User(name: "alice", password: nil)) }
        == "user 'alice' already exists")
    #expect(refused { () throws(Refusal) in try users.remove("bob") } == "user 'bob' does not exist")
    #expect(
      refused { () throws(Refusal) in try users.permit("alice", in: "x", .everything) }
        == "virtual host 'x' does not exist")
    #expect(
      refused { () throws(Refusal) in
        try users.permit("alice", in: "/", Permissions(configure: "(", write: "", read: ""))
      }.hasPrefix("'(' is no regular expression: "))
    #expect(
      refused { () throws(Refusal) in
        try users.permitTopics("alice", in: "/", exchange: "t", TopicPermissions(write: "[", read: ""))
      }.hasPrefix("'[' is no regular expression: "))
  }

  @Test func `a virtual host takes what was permitted there with it`() throws {
    try core.broker.addVirtualHost("other")
    try users.add(User(name: "alice", password: nil))
    try users.permit("alice", in: "other", .everything)
    try users.permit("alice", in: "/", .everything)
    try users.permitTopics("alice", in: "other", exchange: "t", TopicPermissions(write: "a", read: "b"))
    try core.broker.removeVirtualHost("other")
    #expect(users["alice"]?.permissions == ["/": .everything])
    #expect(users["alice"]?.topicPermissions == [:])
    #expect(core.broker.vhosts["other"] == nil)
  }

  @Test func `users, virtual hosts, limits and policies outlive a crash, and what was taken away stays away`()
    throws
  {
    let core = try StoredCore()
    let users = core.broker.users
    try core.broker.addVirtualHost(
      "tenant", VirtualHostDefinition(description: "d", tags: ["a", "b"], defaultQueueType: "classic"))
    try core.broker.limitVirtualHost("tenant", VirtualHostLimits(connections: 3, queues: 4))
    try users.add(User(name: "alice", password: PasswordHash(of: "secret"), tags: ["monitoring"]))
    try users.permit("alice", in: "tenant", Permissions(configure: "c", write: "w", read: "r"))
    try users.permitTopics("alice", in: "tenant", exchange: "t", TopicPermissions(write: "a", read: "b"))
    try users.change("alice") { $0.limits = UserLimits(connections: 5, channels: 6) }
    try users.add(User(name: "bob", password: nil))
    try users.remove("bob")
    try users.remove("guest")
    let alice = users["alice"]
    let policy = try Policy(name: "p", pattern: "^q", priority: 2, definition: ["max-length": 1])
    let tenant = try #require(core.broker.vhosts["tenant"])
    try tenant.set(policy)
    let bound = try Policy(
      name: "o", pattern: "^q", target: .queues, definition: ["expires": 5000], kind: .operator)
    try tenant.set(bound, .operator)
    try core.broker.addVirtualHost("gone")
    try core.broker.removeVirtualHost("gone")
    core.settle()
    try core.crash()
    #expect(core.broker.users.all == [try #require(alice)])
    let again = try #require(core.broker.vhosts["tenant"])
    #expect(
      again.definition
        == VirtualHostDefinition(description: "d", tags: ["a", "b"], defaultQueueType: "classic"))
    #expect(again.limits == VirtualHostLimits(connections: 3, queues: 4))
    #expect(again.policies.all(.user) == [policy] && again.policies.all(.operator) == [bound])
    #expect(Set(core.broker.vhosts.keys) == ["/", "tenant"])
  }

  @Test func `the last virtual host does not come back by itself`() throws {
    let core = try StoredCore()
    try core.broker.removeVirtualHost("/")
    core.settle()
    try core.crash()
    #expect(core.broker.vhosts.isEmpty)
  }

  @Test func `a virtual host that goes takes its queues and messages out of the store`() throws {
    let core = try StoredCore()
    try core.queue("q")
    try core.publish("m", to: "q")
    core.settle()
    try core.broker.removeVirtualHost("/")
    core.settle()
    let left = try core.store.recover()
    #expect(left.cursors.isEmpty)
    #expect(left.definitions.allSatisfy { $0.key.first == Definition.Kind.user.rawValue })
  }

  @Test(arguments: ["classic", "stream"])
  func `a virtual host may go while its queues are being read`(_ type: String) throws {
    var settings = Settings()
    settings.queueMemoryMaximum = 1024
    let core = try StoredCore(settings)
    let holder = Holder()
    do {
      let vhost = try core.broker.addVirtualHost("other")
      let queue = try vhost.declare(
        QueueDefinition(
          name: "q", durable: true, arguments: ["x-queue-type": .string(ByteString(type))]))
      for number in 0..<200 {
        queue.enqueue(StoredCore.message("\(number)" + String(repeating: "x", count: 100)))
      }
      core.settle()
      let consumer = Consumer(
        tag: "c", queue: queue, noAck: false, prefetch: 50, arguments: ["x-stream-offset": "first"],
        deliveries: holder.deliveries, outlet: holder.collector)
      try queue.subscribe(consumer)
      queue.drain()
      core.turn()
    }
    try core.broker.removeVirtualHost("other")
    // The pages that were asked for come now.
    core.settle()
    holder.deliveries.takeAll { $0.settle(.rejected(requeue: true)) }
    core.settle()
    #expect(core.broker.vhosts["other"] == nil)
  }
}
