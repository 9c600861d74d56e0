import AMQPWire

/// What an operator may set, with the values that RabbitMQ ships, and the bounds of the core. Knows no file.
public struct Settings: Sendable {
  /// The most octets of a frame, with what stands around its payload (`connection.tune`).
  public var frameMaximum: UInt32 = 131_072
  /// The most channels of a connection.
  public var channelMaximum: UInt16 = 2047
  /// Seconds between heartbeats that the server suggests.
  public var heartbeatSeconds: UInt16 = 60
  /// Seconds that a peer has from connecting to `connection.open`.
  public var handshakeSeconds = 10
  /// Seconds that a peer has to answer `connection.close`.
  public var closingSeconds = 30
  /// Lines of the log are published to `amq.rabbitmq.log`.
  public var logsToExchange = false
  /// Milliseconds that a consumer may hold a message; 0: as long as it likes.
  public var consumerTimeoutMilliseconds: Int64 = 1_800_000
  /// The most octets of a message's body.
  public var bodyMaximum = Settings.standardBodyMaximum
  /// 128 MiB, as in RabbitMQ 3.13.
  public static let standardBodyMaximum = 134_217_728
  /// The most octets of all bodies published in a transaction: 1 GiB. RabbitMQ has no such bound.
  public var transactionMaximum = 1_073_741_824
  /// Octets of messages that a queue holds in memory, and that all queues do: what is beyond waits in the store, if
  /// there is one.
  public var queueMemoryMaximum = 8_388_608
  public var memoryMaximum = 268_435_456
  /// Octets that may wait for a peer that does not read; then its consumers get no more, and we read no
  /// more of what it sends.
  public var outboxLimit = 1_048_576
  /// Users that may come from this machine only.
  public var loopbackUsers: Set<String> = ["guest"]
  /// As clients of RabbitMQ expect it: `rabbit@` and the machine.
  public var nodeName = "rabbit@localhost"
  /// Those that a broker without data begins with.
  public var firstVirtualHost: ByteString = "/"
  public var users: [FirstUser] = [FirstUser(name: "guest", password: "guest", tags: ["administrator"])]
  /// Seconds for which a connection keeps what its user may do. What a channel publishes to again and again is
  /// asked about anew half a second later at most.
  public var accessCacheSeconds = 10.0
  /// The most such answers of a connection. Clients choose the names: a key of a topic makes half a kilobyte.
  public static let accessCacheMaximum = 1_000
  /// The most challenges of one login.
  public static let challengeMaximum = 64
  /// The longest that a script may have a connection not read: a minute.
  public static let throttleMaximumMilliseconds: Int64 = 60_000

  public init() {}
}

/// A user that a broker without data makes, who may do everything in its first virtual host.
public struct FirstUser: Sendable {
  public var name: ByteString
  public var password: String
  public var tags: [String]

  public init(name: ByteString, password: String, tags: [String] = []) {
    self.name = name
    self.password = password
    self.tags = tags
  }
}
