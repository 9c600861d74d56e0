/// Declaring again what is there: texts that name the first difference, which client libraries' tests know.
import AMQPWire
import BrokerCore
import BrokerTestKit
import Testing

struct Redeclaration: Sendable, CustomTestStringConvertible {
  let name: String
  let first: @Sendable (Core) throws -> Void
  let again: @Sendable (Core) throws -> Void
  /// nil where they are alike.
  let text: String?
  var testDescription: String { name }

  static func exchange(
    _ name: String, _ first: @autoclosure @escaping @Sendable () -> ExchangeDefinition,
    _ again: @autoclosure @escaping @Sendable () -> ExchangeDefinition, _ text: String?
  ) -> Redeclaration {
    Redeclaration(
      name: "exchange: " + name, first: { try $0.vhost.declare(first()) },
      again: { try $0.vhost.declare(again()) }, text: text)
  }

  static func queue(
    _ name: String, _ first: @autoclosure @escaping @Sendable () -> QueueDefinition,
    _ again: @autoclosure @escaping @Sendable () -> QueueDefinition, _ text: String?
  ) -> Redeclaration {
    Redeclaration(
      name: "queue: " + name, first: { _ = try $0.vhost.declare(first()) },
      again: { _ = try $0.vhost.declare(again()) }, text: text)
  }

  static func arguments(_ name: String, _ first: FieldTable, _ again: FieldTable, _ text: String?) -> Self {
    queue(
      name, QueueDefinition(name: "q", arguments: first), QueueDefinition(name: "q", arguments: again), text)
  }

  static let all: [Redeclaration] = exchanges + queues + arguments

  private static var fanout: ExchangeDefinition { ExchangeDefinition(name: "x", type: "fanout") }

  private static let exchanges: [Redeclaration] = [
    exchange("alike", fanout, fanout, nil),
    exchange(
      "type", fanout, ExchangeDefinition(name: "x", type: "direct", durable: true),
      "inequivalent arg 'type' for exchange 'x' in vhost '/': received 'direct' but current is 'fanout'"),
    exchange(
      "durable", fanout, ExchangeDefinition(name: "x", type: "fanout", durable: true, autoDelete: true),
      "inequivalent arg 'durable' for exchange 'x' in vhost '/': received 'true' but current is 'false'"),
    exchange(
      "auto_delete", ExchangeDefinition(name: "x", type: "fanout", autoDelete: true), fanout,
      "inequivalent arg 'auto_delete' for exchange 'x' in vhost '/': received 'false' but current is 'true'"),
    exchange(
      "internal", fanout, ExchangeDefinition(name: "x", type: "fanout", isInternal: true),
      "inequivalent arg 'internal' for exchange 'x' in vhost '/': received 'true' but current is 'false'"),
    exchange(
      "alternate-exchange", fanout,
      ExchangeDefinition(name: "x", type: "fanout", arguments: ["alternate-exchange": "y"]),
      "inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received the value 'y' of type "
        + "'longstr' but current is none"),
    exchange(
      "other arguments do not count", fanout,
      ExchangeDefinition(name: "x", type: "fanout", arguments: ["anything": 1]), nil),
  ]

  private static var plain: QueueDefinition { QueueDefinition(name: "q") }

  private static let queues: [Redeclaration] = [
    queue("alike", plain, plain, nil),
    queue(
      "durable", QueueDefinition(name: "q", durable: true), plain,
      "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'"),
    queue(
      "auto_delete", plain, QueueDefinition(name: "q", autoDelete: true),
      "inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is 'false'"),
    queue(
      "an exclusive queue is never durable",
      QueueDefinition(name: "q", durable: true, owner: ConnectionID(1)),
      QueueDefinition(name: "q", durable: false, owner: ConnectionID(1)), nil),
  ]

  private static let arguments: [Redeclaration] = [
    arguments("the same value", ["x-max-length": .int32(5)], ["x-max-length": .int32(5)], nil),
    arguments(
      "the same number of another type", ["x-max-length": .int32(5)], ["x-max-length": .int64(5)], nil),
    arguments(
      "another number", ["x-max-length": .int32(5)], ["x-max-length": .int32(6)],
      "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received '6' but current is '5'"),
    arguments(
      "one that is missing", ["x-message-ttl": .int32(5000)], [:],
      "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received none but current is the value "
        + "'5000' of type 'signedint'"),
    arguments(
      "one that is new", [:], ["x-expires": .int64(60)],
      "inequivalent arg 'x-expires' for queue 'q' in vhost '/': received the value '60' of type 'long' but "
        + "current is none"),
    arguments(
      "another string", ["x-dead-letter-exchange": "a"], ["x-dead-letter-exchange": "b"],
      "inequivalent arg 'x-dead-letter-exchange' for queue 'q' in vhost '/': received 'b' but current is "
        + "'a'"),
    arguments("unknown arguments do not count", ["x-mine": 1], ["other": 2], nil),
    arguments("no type is the classic type", [:], ["x-queue-type": "classic"], nil),
    arguments("the classic type is no type", ["x-queue-type": "classic"], [:], nil),
    arguments(
      "the first difference is named",
      ["x-expires": .int32(1), "x-max-length": .int32(1)],
      ["x-max-length": .int32(2), "x-expires": .int32(2)],
      "inequivalent arg 'x-expires' for queue 'q' in vhost '/': received '2' but current is '1'"),
  ]
}

struct ArgumentCase: CustomTestStringConvertible {
  let arguments: FieldTable
  /// What stands behind "invalid arg '…' for queue 'q' in vhost '/': "; nil where the value is right.
  let problem: String?
  var testDescription: String { "\(arguments.fields)" }

  init(_ arguments: FieldTable, _ problem: String?) {
    self.arguments = arguments
    self.problem = problem
  }

  static let all: [ArgumentCase] = [
    ArgumentCase(["x-expires": .int32(1)], nil),
    ArgumentCase(["x-expires": .int32(0)], "{value_zero,0}"),
    ArgumentCase(["x-expires": .int32(-1)], "{value_negative,-1}"),
    ArgumentCase(["x-expires": "60"], "\"expected integer, got longstr\""),
    ArgumentCase(["x-message-ttl": .int32(0)], nil),
    ArgumentCase(["x-message-ttl": .int64(315_360_000_000)], nil),
    ArgumentCase(["x-message-ttl": .int64(315_360_000_001)], "{value_too_large,315360000001}"),
    ArgumentCase(["x-message-ttl": .double(1)], "\"expected integer, got double\""),
    ArgumentCase(["x-max-length": .uint8(0)], nil),
    ArgumentCase(["x-max-length": .int8(-1)], "{value_negative,-1}"),
    ArgumentCase(["x-max-length-bytes": .int64(1)], nil),
    ArgumentCase(["x-max-length-bytes": .boolean(true)], "\"expected integer, got bool\""),
    ArgumentCase(["x-max-priority": .uint8(255)], nil),
    ArgumentCase(["x-max-priority": .int32(256)], "{max_value_exceeded,256}"),
    ArgumentCase(["x-max-priority": .int32(-2)], "{value_negative,-2}"),
    ArgumentCase(["x-dead-letter-routing-key": "k", "x-dead-letter-exchange": ""], nil),
    ArgumentCase(["x-dead-letter-routing-key": "k"], "routing_key_but_no_dlx_defined"),
    ArgumentCase(["x-dead-letter-routing-key": 1, "x-dead-letter-exchange": ""], "{unacceptable_type,long}"),
    ArgumentCase(["x-overflow": "drop-head"], nil),
    ArgumentCase(["x-overflow": "reject-publish-dlx"], nil),
    ArgumentCase(["x-overflow": "drop-tail"], "invalid_overflow"),
    ArgumentCase(["x-queue-mode": "lazy"], nil),
    ArgumentCase(["x-queue-version": .int32(2)], nil),
    ArgumentCase(["x-single-active-consumer": true], nil),
    ArgumentCase(["x-single-active-consumer": "true"], "{unacceptable_type,longstr}"),
    ArgumentCase(["x-queue-type": "quorum"], nil),
    ArgumentCase(["x-stream-filter-size-bytes": .int32(1)], nil),
    ArgumentCase(["anything": .void, "x-else": .double(1)], nil),
  ]
}

@Suite struct EquivalenceTests {
  @Test(arguments: Redeclaration.all)
  func `a second declaration is held against the first`(_ table: Redeclaration) throws {
    let core = Core()
    try table.first(core)
    let expected = table.text.map { ProtocolError(.preconditionFailed, $0) }
    #expect(refusal { try table.again(core) } == expected)
  }

  @Test(arguments: ArgumentCase.all)
  func `a queue argument has to be of its type and in its range`(_ table: ArgumentCase) throws {
    let core = Core()
    let isDurable = table.arguments["x-queue-type"] == "quorum"
    let refused = refusal { try core.queue("q", durable: isDurable, arguments: table.arguments) }
    guard let problem = table.problem else {
      #expect(refused == nil)
      return
    }
    let name = table.arguments.fields[0].name
    #expect(
      refused
        == ProtocolError(.preconditionFailed, "invalid arg '\(name)' for queue 'q' in vhost '/': \(problem)"))
    #expect(core.vhost.queues.isEmpty)
  }

  @Test func `a dead letter exchange has to be named by a string`() {
    let core = Core()
    #expect(
      refusal { try core.queue("q", arguments: ["x-dead-letter-exchange": .int32(1)]) }
        == ProtocolError(
          .preconditionFailed,
          "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'"))
  }

  /// A stream is durable and belongs to nobody.
  private static var stream: QueueDefinition {
    QueueDefinition(name: "s", durable: true, arguments: ["x-queue-type": "stream"])
  }

  @Test(
    arguments: [
      ("x-max-age", "1x", "{}: invalid_max_age"), ("x-max-age", "0s", "{}: invalid_max_age"),
      ("x-max-age", "h", "{}: invalid_max_age"), ("x-max-age", "1h", nil),
      ("x-max-age", 5, "{}: {unacceptable_type,long}"),
      ("x-max-length-bytes", -1, "{}: {value_negative,-1}"), ("x-max-length-bytes", 0, nil),
      ("x-stream-max-segment-size-bytes", "a", "{}: \"expected integer, got longstr\""),
      ("x-stream-max-segment-size-bytes", 100, nil),
      (
        "x-stream-max-segment-size-bytes", 3_000_000_001,
        "Exceeded max value for x-stream-max-segment-size-bytes"
      ),
      ("x-stream-filter-size-bytes", 15, "Invalid value for  x-stream-filter-size-bytes"),
      ("x-stream-filter-size-bytes", 255, nil), ("x-initial-cluster-size", 0, "{}: {value_zero,0}"),
      ("x-queue-leader-locator", "foo", "{}: invalid_queue_locator_arg"),
      ("x-queue-leader-locator", "balanced", nil),
      ("x-max-priority", -5, "{} of queue type rabbit_stream_queue"),
      ("x-message-ttl", 5, "{} of queue type rabbit_stream_queue"),
      ("x-overflow", "drop-head", "{} of queue type rabbit_stream_queue"),
      ("x-single-active-consumer", true, "{} of queue type rabbit_stream_queue"),
      ("x-delivery-limit", 5, "{} of queue type rabbit_stream_queue"), ("x-anything", 5, nil),
    ] as [(ByteString, FieldValue, String?)])
  func `a stream has arguments of its own`(name: ByteString, value: FieldValue, text: String?) {
    var definition = Self.stream
    definition.arguments[name] = value
    let expected = text.map {
      ProtocolError(
        .preconditionFailed,
        $0.replacing("{}", with: "invalid arg '\(name)' for queue 's' in vhost '/'", maxReplacements: 1))
    }
    let core = Core()
    #expect(refusal { _ = try core.vhost.declare(definition) } == expected)
  }

  @Test func `what a stream is not compared by may differ`() throws {
    let core = Core()
    _ = try core.vhost.declare(Self.stream)
    var other = Self.stream
    other.arguments["x-max-length"] = 5
    _ = try core.vhost.declare(other)
    other.arguments["x-max-age"] = "5h"
    #expect(
      refusal { _ = try core.vhost.declare(other) }
        == ProtocolError(
          .preconditionFailed,
          "inequivalent arg 'x-max-age' for queue 's' in vhost '/': received the value '5h' of type 'longstr'"
            + " but current is none"))
  }

  @Test func `a stream is durable and nobody's own`() {
    let core = Core()
    func refused(_ change: (inout QueueDefinition) -> Void) -> String? {
      var definition = Self.stream
      change(&definition)
      return refusal { _ = try core.vhost.declare(definition) }?.text
    }
    #expect(
      refused { $0.durable = false } == "invalid property 'non-durable' for queue 's' in vhost '/'")
    #expect(
      refused { $0.autoDelete = true } == "invalid property 'auto-delete' for queue 's' in vhost '/'")
    #expect(
      refused { $0.owner = ConnectionID(1) }
        == "invalid property 'exclusive-owner' for queue 's' in vhost '/'")
  }
}
