import AMQPWire

/// The `x-` arguments of `basic.consume` that RabbitMQ knows, and which values it takes. Knows no queue's inside.
struct ConsumeArgument: Sendable {
  let name: ByteString
  /// The types of queues that it means something to; others refuse it.
  let types: Set<QueueType>
  /// What is wrong with a value, in RabbitMQ's words; nil if nothing is.
  let problem: @Sendable (FieldValue) -> String?

  static let all: [ConsumeArgument] = [
    ConsumeArgument(name: "x-priority", types: [.classic, .quorum]) { value in
      value.integer == nil ? QueueArgument.notAnInteger(value) : nil
    },
    ConsumeArgument(name: "x-cancel-on-ha-failover", types: [.classic]) { value in
      if case .boolean = value { nil } else { "{unacceptable_type,\(value.typeName)}" }
    },
    ConsumeArgument(name: "x-stream-offset", types: [.stream]) { value in
      guard StreamOffset(value, now: 0) == nil else { return nil }
      let shown = value.string.map { "<<\"\($0)\">>" } ?? value.shown
      return "{invalid_stream_offset_arg,{\(value.typeName),\(shown)}}"
    },
  ]
}

extension Queue {
  /// - Throws: 406 that names the first argument that a consumer of this queue cannot have
  public func checkConsumeArguments(_ arguments: FieldTable) throws(ProtocolError) {
    for argument in ConsumeArgument.all where argument.types.contains(type) {
      guard let value = arguments[argument.name], let problem = argument.problem(value) else { continue }
      throw ProtocolError(
        .preconditionFailed, "invalid arg '\(argument.name)' for \(described): \(problem)")
    }
    for argument in ConsumeArgument.all
    where !argument.types.contains(type) && arguments[argument.name] != nil {
      throw ProtocolError(
        .preconditionFailed,
        "invalid arg '\(argument.name)' for \(described) of queue type rabbit_\(type.rawValue)_queue")
    }
  }

  /// - Throws: 540 for a stream: nothing is taken out of it
  public func checkRemoval(by method: String) throws(ProtocolError) {
    guard type == .stream else { return }
    throw ProtocolError(.notImplemented, "\(method) not supported by stream queues \(described)")
  }
}
