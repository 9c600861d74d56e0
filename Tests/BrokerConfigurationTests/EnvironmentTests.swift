/// Configuration from elsewhere: environment variables, and RabbitMQ's own file.

import BrokerCore
import Testing

@testable import BrokerConfiguration

@Suite struct `Environment variables` {
  private func configured(_ environment: [String: String]) throws -> Configuration {
    var configuration = try ConfigurationFile.parse("[listen]\nport = 1\nhost = \"h\"", path: "y.toml")
    try configuration.apply(environment)
    return configuration
  }

  @Test func `win over the file, each with the type of its key`() throws {
    let configuration = try configured([
      "YUTU_LISTEN_PORT": "5673", "YUTU_LISTEN_HTTP": "false", "YUTU_AUTH_CACHE_SECONDS": "0.5",
      "YUTU_AUTH_CHAIN": "internal, users-file", "YUTU_DATA_DIR": "/srv/yutu",
      "YUTU_AUTH_LOOPBACK_USERS": "[]",
      "YUTU_LISTEN_HOST": "", "PATH": "/bin",
    ])
    #expect(configuration.port == 5673 && !configuration.http && configuration.host == "h")
    #expect(configuration.settings.accessCacheSeconds == 0.5)
    #expect(configuration.authChain == ["internal", "users-file"])
    #expect(configuration.dataDir == "/srv/yutu" && configuration.settings.loopbackUsers.isEmpty)
    #expect(configuration.said.contains("data.dir"))
  }

  @Test func `of RabbitMQ's image name the first user`() throws {
    let settings = try configured([
      "RABBITMQ_DEFAULT_USER": "app", "RABBITMQ_DEFAULT_PASS": "12345", "RABBITMQ_DEFAULT_VHOST": "orders",
      "RABBITMQ_NODENAME": "x",
    ]).settings
    #expect(settings.users.first?.name == "app" && settings.users.first?.password == "12345")
    #expect(settings.firstVirtualHost == "orders")
    let broker = Broker(settings: settings)
    #expect(Set(broker.vhosts.keys) == ["orders"])
    #expect(broker.users["app"]?.permissions == ["orders": .everything])
  }

  @Test func `that name no key, or do not fit, are said, all of them`() {
    #expect(
      throws: ConfigurationError(problems: [
        "YUTU_LISTEN_PORT: 'many', expected an integer from 0 to 65535",
        "YUTU_LISTEN_PORTS: no such key; did you mean YUTU_LISTEN_PORT?",
      ])
    ) {
      try configured(["YUTU_LISTEN_PORTS": "1", "YUTU_LISTEN_PORT": "many"])
    }
  }
}

@Suite struct `RabbitMQ's configuration file` {
  private let text = """
    # a comment
    listeners.tcp.1 = 0.0.0.0:5673
    management.tcp.port = 15673
    default_user = app
    default_pass = 's3"cret'
    default_user_tags.administrator = true
    default_user_tags.monitoring = true
    loopback_users.guest = false
    loopback_users.app = true
    heartbeat = 30
    handshake_timeout = 20000
    consumer_timeout = 3600000
    disk_free_limit.absolute = 2GB
    max_message_size = 1MiB
    log.console.level = warning
    load_definitions = /etc/rabbitmq/definitions.json
    cluster_formation.peer_discovery_backend = k8s
    nonsense
    """

  @Test func `becomes one of ours, and what has no equal is said`() throws {
    let (file, untranslated) = RabbitMQConfiguration.translated(text)
    #expect(untranslated == ["cluster_formation.peer_discovery_backend = k8s", "nonsense"])
    let configuration = try ConfigurationFile.parse(file, path: "y.toml")
    #expect(configuration.host == "0.0.0.0" && configuration.port == 5673 && configuration.httpPort == 15_673)
    #expect(configuration.settings.users.first?.name == "app")
    #expect(configuration.settings.users.first?.password == "s3\"cret")
    #expect(configuration.settings.users.first?.tags == ["administrator", "monitoring"])
    #expect(configuration.settings.loopbackUsers == ["app"])
    #expect(configuration.settings.heartbeatSeconds == 30 && configuration.settings.handshakeSeconds == 20)
    #expect(configuration.settings.consumerTimeoutMilliseconds == 3_600_000)
    #expect(configuration.diskFreeLimit == 2_000_000_000 && configuration.settings.bodyMaximum == 1 << 20)
    #expect(configuration.logLevel == "warning")
    #expect(configuration.definitions == "/etc/rabbitmq/definitions.json")
  }

  @Test func `with nothing in it becomes nothing`() throws {
    let (file, untranslated) = RabbitMQConfiguration.translated(
      "loopback_users = none\nlisteners.tcp.default = 5674\n")
    #expect(untranslated.isEmpty)
    let configuration = try ConfigurationFile.parse(file, path: "y.toml")
    #expect(configuration.settings.loopbackUsers.isEmpty && configuration.port == 5674)
    #expect(RabbitMQConfiguration.translated("").file == "# Made by yutu config import.\n")
  }
}
