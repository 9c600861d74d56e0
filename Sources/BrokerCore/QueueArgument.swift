import AMQPWire

/// The `x-` arguments of a queue that RabbitMQ knows, and which values it takes. Knows no queue's inside.
struct QueueArgument: Sendable {
  let name: ByteString
  /// The types of queues that it means something to; others refuse it.
  let types: Set<QueueType>
  /// What is wrong with a value, in RabbitMQ's words; nil if nothing is.
  let problem: @Sendable (FieldValue, FieldTable) -> String?

  private init(
    _ name: ByteString, _ types: Set<QueueType>,
    problem: @escaping @Sendable (FieldValue, FieldTable) -> String? = { _, _ in nil }
  ) {
    self.name = name
    self.types = types
    self.problem = problem
  }

  /// In the order in which they are checked, and two declarations compared; all others are neither.
  static let all: [QueueArgument] = [
    QueueArgument("x-expires", [.classic, .quorum]) { value, _ in
      integerProblem(value) { $0 == 0 ? "{value_zero,0}" : expiryProblem($0) }
    },
    QueueArgument("x-message-ttl", [.classic, .quorum]) { value, _ in integerProblem(value, expiryProblem) },
    QueueArgument("x-dead-letter-exchange", [.classic, .quorum]) { value, _ in stringProblem(value) },
    QueueArgument("x-dead-letter-routing-key", [.classic, .quorum]) { value, all in
      stringProblem(value)
        ?? (all["x-dead-letter-exchange"] == nil ? "routing_key_but_no_dlx_defined" : nil)
    },
    QueueArgument("x-dead-letter-strategy", [.quorum]) { value, _ in
      oneOf(["at-most-once", "at-least-once"], value) { _ in "invalid_dlx_strategy" }
    },
    QueueArgument("x-max-length", [.classic, .quorum]) { value, _ in integerProblem(value, negativeProblem) },
    QueueArgument("x-max-length-bytes", [.classic, .quorum, .stream]) { value, _ in
      integerProblem(value, negativeProblem)
    },
    QueueArgument("x-max-in-memory-length", [.quorum]) { value, _ in integerProblem(value, negativeProblem) },
    QueueArgument("x-max-in-memory-bytes", [.quorum]) { value, _ in integerProblem(value, negativeProblem) },
    QueueArgument("x-max-priority", [.classic]) { value, _ in
      integerProblem(value) { negativeProblem($0) ?? ($0 > 255 ? "{max_value_exceeded,\($0)}" : nil) }
    },
    QueueArgument("x-overflow", [.classic, .quorum]) { value, _ in
      oneOf(["drop-head", "reject-publish", "reject-publish-dlx"], value) { _ in "invalid_overflow" }
    },
    QueueArgument("x-queue-mode", [.classic]) { value, _ in
      oneOf(["default", "lazy"], value) { "\"unsupported queue mode '\($0)'\"" }
    },
    QueueArgument("x-queue-version", [.classic]) { value, _ in
      integerProblem(value) {
        negativeProblem($0) ?? (1...2 ~= $0 ? nil : "\"unsupported queue version '\($0)'\"")
      }
    },
    QueueArgument("x-single-active-consumer", [.classic, .quorum]) { value, _ in
      if case .boolean = value { nil } else { "{unacceptable_type,\(value.typeName)}" }
    },
    .type,
    QueueArgument("x-quorum-initial-group-size", [.quorum]) { value, _ in clusterSizeProblem(value) },
    QueueArgument("x-delivery-limit", [.quorum]),
    QueueArgument("x-max-age", [.stream]) { value, _ in
      guard let age = value.string else { return "{unacceptable_type,\(value.typeName)}" }
      return StreamAge.seconds(age) ?? 0 == 0 ? "invalid_max_age" : nil
    },
    QueueArgument("x-stream-max-segment-size-bytes", [.stream]) { value, _ in
      integerProblem(value, negativeProblem)
    },
    QueueArgument("x-initial-cluster-size", [.stream]) { value, _ in clusterSizeProblem(value) },
    QueueArgument("x-queue-master-locator", [.classic]),
    QueueArgument("x-queue-leader-locator", [.classic, .quorum, .stream]) { value, _ in
      oneOf(["client-local", "balanced", "random", "least-leaders"], value) { _ in
        "invalid_queue_locator_arg"
      }
    },
  ]

  fileprivate static let type = QueueArgument("x-queue-type", [.classic, .quorum, .stream]) { value, _ in
    oneOf(["classic", "quorum", "stream"], value) { "\"unsupported queue type '\($0)'\"" }
  }

  /// The most octets of a segment of a stream.
  fileprivate static let segmentMaximum: Int64 = 3_000_000_000

  private static func clusterSizeProblem(_ value: FieldValue) -> String? {
    integerProblem(value) { $0 == 0 ? "{value_zero,0}" : negativeProblem($0) }
  }

  private static func integerProblem(_ value: FieldValue, _ range: (Int64) -> String?) -> String? {
    guard let number = value.integer else { return notAnInteger(value) }
    return range(number)
  }

  static func notAnInteger(_ value: FieldValue) -> String { "\"expected integer, got \(value.typeName)\"" }

  private static func negativeProblem(_ number: Int64) -> String? {
    number < 0 ? "{value_negative,\(number)}" : nil
  }

  /// Ten years in milliseconds is the most.
  private static func expiryProblem(_ number: Int64) -> String? {
    negativeProblem(number) ?? (number > 315_360_000_000 ? "{value_too_large,\(number)}" : nil)
  }

  private static func stringProblem(_ value: FieldValue) -> String? {
    value.string == nil ? "{unacceptable_type,\(value.typeName)}" : nil
  }

  private static func oneOf(
    _ names: [ByteString], _ value: FieldValue, _ otherwise: (ByteString) -> String
  ) -> String? {
    guard let name = value.string else { return "{unacceptable_type,\(value.typeName)}" }
    return names.contains(name) ? nil : otherwise(name)
  }
}

extension QueueDefinition {
  /// - Throws: 406 that names the first argument whose value is not one that RabbitMQ takes for the type of queue.
  func checkArguments(in vhost: VirtualHost) throws(ProtocolError) {
    let described = "queue '\(name)' in vhost '\(vhost.name)'"
    if let exchange = arguments["x-dead-letter-exchange"], exchange.string == nil {
      throw ProtocolError(
        .preconditionFailed,
        "invalid type '\(exchange.typeName)' for arg 'x-dead-letter-exchange' in \(described)")
    }
    let type = QueueType(arguments)
    for argument in [.type] + QueueArgument.all where argument.types.contains(type) {
      guard let value = arguments[argument.name], let problem = argument.problem(value, arguments) else {
        continue
      }
      throw ProtocolError(
        .preconditionFailed, "invalid arg '\(argument.name)' for \(described): \(problem)")
    }
    for (name, _) in arguments.fields
    where QueueArgument.all.contains(where: { $0.name == name && !$0.types.contains(type) }) {
      throw ProtocolError(
        .preconditionFailed,
        "invalid arg '\(name)' for \(described) of queue type rabbit_\(type.rawValue)_queue")
    }
    if type == .stream { try checkStream(described) }
  }

  private func checkStream(_ described: String) throws(ProtocolError) {
    let wrong =
      autoDelete ? "auto-delete" : owner != nil ? "exclusive-owner" : durable ? nil : "non-durable"
    if let wrong {
      throw ProtocolError(.preconditionFailed, "invalid property '\(wrong)' for \(described)")
    }
    if let size = arguments["x-stream-max-segment-size-bytes"]?.integer, size > QueueArgument.segmentMaximum {
      throw ProtocolError(
        .preconditionFailed, "Exceeded max value for x-stream-max-segment-size-bytes")
    }
    if let size = arguments["x-stream-filter-size-bytes"], !(16...255 ~= size.integer ?? 0) {
      throw ProtocolError(.preconditionFailed, "Invalid value for  x-stream-filter-size-bytes")
    }
  }
}
