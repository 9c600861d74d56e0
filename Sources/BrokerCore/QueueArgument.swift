import AMQPWire

/// The `x-` arguments of a queue that RabbitMQ knows, and which values it takes. Knows no queue's inside.
struct QueueArgument: Sendable {
  let name: ByteString
  /// What is wrong with a value, in RabbitMQ's words; nil if nothing is.
  let problem: @Sendable (FieldValue, FieldTable) -> String?

  /// In the order in which two declarations are compared; all others are not compared.
  static let all: [QueueArgument] = [
    QueueArgument(name: "x-expires") { value, _ in
      integerProblem(value) { $0 == 0 ? "{value_zero,0}" : expiryProblem($0) }
    },
    QueueArgument(name: "x-message-ttl") { value, _ in integerProblem(value, expiryProblem) },
    QueueArgument(name: "x-dead-letter-exchange") { value, _ in stringProblem(value) },
    QueueArgument(name: "x-dead-letter-routing-key") { value, all in
      stringProblem(value)
        ?? (all["x-dead-letter-exchange"] == nil ? "routing_key_but_no_dlx_defined" : nil)
    },
    QueueArgument(name: "x-max-length") { value, _ in integerProblem(value, negativeProblem) },
    QueueArgument(name: "x-max-length-bytes") { value, _ in integerProblem(value, negativeProblem) },
    QueueArgument(name: "x-max-priority") { value, _ in
      integerProblem(value) { negativeProblem($0) ?? ($0 > 255 ? "{max_value_exceeded,\($0)}" : nil) }
    },
    QueueArgument(name: "x-overflow") { value, _ in
      oneOf(["drop-head", "reject-publish", "reject-publish-dlx"], value) { _ in "invalid_overflow" }
    },
    QueueArgument(name: "x-queue-mode") { value, _ in
      oneOf(["default", "lazy"], value) { "\"unsupported queue mode '\($0)'\"" }
    },
    QueueArgument(name: "x-queue-version") { value, _ in
      integerProblem(value) {
        negativeProblem($0) ?? (1...2 ~= $0 ? nil : "\"unsupported queue version '\($0)'\"")
      }
    },
    QueueArgument(name: "x-single-active-consumer") { value, _ in
      if case .boolean = value { nil } else { "{unacceptable_type,\(value.typeName)}" }
    },
    QueueArgument(name: "x-queue-type") { value, _ in
      oneOf(["classic", "quorum", "stream"], value) { "\"unsupported queue type '\($0)'\"" }
    },
  ]

  /// What RabbitMQ takes for quorum queues and streams only.
  static let notForClassic: Set<ByteString> = [
    "x-delivery-limit", "x-max-age", "x-stream-max-segment-size-bytes", "x-stream-filter-size-bytes",
    "x-initial-cluster-size", "x-quorum-initial-group-size", "x-max-in-memory-length",
    "x-max-in-memory-bytes", "x-dead-letter-strategy",
  ]

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
  /// - Throws: 406 that names the first argument whose value is not one that RabbitMQ takes.
  func checkArguments(in vhost: VirtualHost) throws(ProtocolError) {
    let described = "queue '\(name)' in vhost '\(vhost.name)'"
    if let exchange = arguments["x-dead-letter-exchange"], exchange.string == nil {
      throw ProtocolError(
        .preconditionFailed,
        "invalid type '\(exchange.typeName)' for arg 'x-dead-letter-exchange' in \(described)")
    }
    for argument in QueueArgument.all {
      guard let value = arguments[argument.name], let problem = argument.problem(value, arguments) else {
        continue
      }
      throw ProtocolError(
        .preconditionFailed, "invalid arg '\(argument.name)' for \(described): \(problem)")
    }
    guard (arguments["x-queue-type"] ?? "classic") == "classic" else { return }
    for (name, _) in arguments.fields where QueueArgument.notForClassic.contains(name) {
      throw ProtocolError(
        .preconditionFailed, "invalid arg '\(name)' for \(described) of queue type rabbit_classic_queue")
    }
  }
}
