// swift-tools-version: 6.1
import PackageDescription

/// Dynamic exclusivity checks were a fifth of the prototype's profile; debug builds keep them.
/// AMQPWire and BrokerCore say `public` where `package` would do: Swift 6.3 inlines only what is public into
/// other modules (a16 of the bench: 0.47 and 0.33 microseconds a message). No product exports them.
let ours: [SwiftSetting] = [
  .unsafeFlags(
    ["-enforce-exclusivity=unchecked", "-cross-module-optimization"], .when(configuration: .release))
]

let package = Package(
  name: "yutu",
  platforms: [.macOS(.v15)],
  traits: [
    .default(enabledTraits: ["RocksDB"]),
    .trait(name: "RocksDB", description: "Durable queues and messages are kept on disk, by librocksdb."),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
  ],
  targets: [
    // The graph points down only: a wrong import does not compile.
    .executableTarget(
      name: "yutu",
      dependencies: [
        "BrokerConfiguration", "BrokerManagement", "BrokerServer", "BrokerScripting", "BrokerStorage",
        "BrokerCore", "AMQPWire", "LuaRuntime",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: ours),
    .executableTarget(
      name: "yutuctl",
      dependencies: [
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOFoundationCompat", package: "swift-nio"),
      ],
      swiftSettings: ours),
    .target(
      name: "BrokerConfiguration",
      dependencies: [
        "BrokerScripting", "BrokerCore", "AMQPWire", "LuaRuntime",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: ours),
    .target(
      name: "BrokerManagement",
      dependencies: [
        "BrokerScripting", "BrokerServer", "BrokerCore", "AMQPWire", "LuaRuntime",
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: ours),
    .target(
      name: "BrokerServer",
      dependencies: [
        "BrokerCore", "AMQPWire",
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: ours),
    .target(
      name: "BrokerScripting",
      dependencies: [
        "BrokerCore", "AMQPWire", "LuaRuntime", "CKeyIndex",
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
      ],
      swiftSettings: ours),
    // Empty without the trait: then only liblua5.4-dev is needed.
    .target(
      name: "BrokerStorage",
      dependencies: [
        "BrokerCore", "AMQPWire",
        .target(name: "CRocksDB", condition: .when(traits: ["RocksDB"])),
        .target(name: "CCRC32C", condition: .when(traits: ["RocksDB"])),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: ours),
    .target(
      name: "BrokerCore",
      dependencies: [
        "AMQPWire", "CKeyIndex", "CRegex",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "DequeModule", package: "swift-collections"),
        .product(name: "HeapModule", package: "swift-collections"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: ours),
    .target(name: "AMQPWire", swiftSettings: ours),
    .target(
      name: "LuaRuntime", dependencies: ["CLuaGuard", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: ours),
    .target(name: "CLuaGuard", dependencies: ["CLua", "CKeyIndex", "CRegex"]),
    .target(name: "CKeyIndex"),
    .target(name: "CRegex"),
    .target(name: "CCRC32C"),
    .systemLibrary(name: "CRocksDB", pkgConfig: "rocksdb", providers: [.apt(["librocksdb-dev"])]),
    .systemLibrary(name: "CLua", pkgConfig: "lua5.4", providers: [.apt(["liblua5.4-dev"])]),

    .target(
      name: "BrokerTestKit",
      dependencies: [
        "AMQPWire", "BrokerCore",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      swiftSettings: ours),
    .testTarget(
      name: "AMQPWireTests", dependencies: ["AMQPWire"], exclude: ["make-goldens.py"],
      resources: [.copy("goldens.txt")]),
    .testTarget(
      name: "BrokerCoreTests", dependencies: ["BrokerCore", "AMQPWire", "BrokerTestKit"],
      exclude: ["make-patterns.py", "patterns.txt"]),
    .testTarget(
      name: "BrokerServerTests",
      dependencies: [
        "BrokerServer", "BrokerCore", "AMQPWire", "BrokerTestKit",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
      ]),
    .testTarget(
      name: "BrokerStorageTests",
      dependencies: [
        "BrokerStorage", "BrokerCore", "AMQPWire", "BrokerTestKit",
        .target(name: "CRocksDB", condition: .when(traits: ["RocksDB"])),
        .target(name: "CCRC32C", condition: .when(traits: ["RocksDB"])),
      ]),
    .testTarget(name: "LuaRuntimeTests", dependencies: ["LuaRuntime"]),
    .testTarget(
      name: "BrokerScriptingTests",
      dependencies: [
        "BrokerScripting", "BrokerServer", "BrokerCore", "AMQPWire", "LuaRuntime", "BrokerTestKit",
        .product(name: "NIOCore", package: "swift-nio"),
      ]),
    .testTarget(
      name: "BrokerConfigurationTests",
      dependencies: ["BrokerConfiguration", "BrokerScripting", "BrokerCore", "LuaRuntime"]),
    .testTarget(
      name: "BrokerManagementTests",
      dependencies: [
        "BrokerManagement", "BrokerScripting", "BrokerServer", "BrokerCore", "LuaRuntime", "BrokerTestKit",
        .product(name: "HummingbirdTesting", package: "hummingbird"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)
