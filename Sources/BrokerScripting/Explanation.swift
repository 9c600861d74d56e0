/// What would become of a message, step by step, without publishing it. Knows no HTTP.

internal import AMQPWire
internal import BrokerCore
internal import LuaRuntime

extension PluginHost {
  /// Scripts run, but leave no trace. A delay counts as the end: what comes after it is not known yet.
  /// - Throws: `PluginControlError` for an unknown vhost or exchange, or fields that no message can have
  package func explain(_ request: ExplainRequest) throws -> ExplainReport {
    guard let vhost = broker.vhosts[ByteString(request.vhost)] else {
      throw PluginControlError("no vhost '\(request.vhost)'")
    }
    let name: ByteString = request.exchange == "amq.default" ? "" : ByteString(request.exchange)
    guard let exchange = vhost.exchanges[name] else {
      throw PluginControlError("no exchange '\(request.exchange)' in vhost '\(request.vhost)'")
    }
    let message: Message
    do throws(ProtocolError) {
      message = try request.message(to: name)
    } catch {
      throw PluginControlError(error.text)
    }
    return dryly {
      var explanation = Explanation(vhost: vhost, identity: Identity(name: request.user))
      explanation.publish(message, to: exchange)
      return ExplainReport(
        steps: explanation.steps, queues: explanation.queues, outcome: explanation.outcome)
    }
  }
}

private struct Explanation {
  let vhost: VirtualHost
  let identity: Identity
  var steps: [ExplainReport.Step] = []
  var queues: [String] = []
  var outcome = "routed"

  private mutating func step(_ kind: String, _ name: String, _ text: String) {
    steps.append(ExplainReport.Step(kind: kind, name: name, text: text))
  }

  mutating func publish(_ original: Message, to exchange: Exchange) {
    guard let message = filter(original, exchange.publishFilters, queue: nil) else { return }
    var heard: [RouteStep] = []
    do throws(ProtocolError) {
      let found = try vhost.explain(message, from: exchange, by: identity) { heard.append($0) }
      tell(heard)
      if found.delays > 0 {
        step("exchange", exchange.name.text, "keeps the message and routes it later")
        if found.queues.isEmpty { outcome = "delayed" }
      } else if found.isDropped {
        step("exchange", exchange.name.text, "drops the message")
        outcome = "dropped"
      } else if found.queues.isEmpty {
        step("exchange", exchange.name.text, "nothing matches: unroutable, returned if it is mandatory")
        outcome = "unroutable"
      }
      for queue in found.queues { enqueue(message, queue) }
    } catch {
      tell(heard)
      step("exchange", exchange.name.text, "refuses the message: \(error.text)")
      outcome = "denied"
    }
  }

  private mutating func tell(_ heard: [RouteStep]) {
    for case let heard in heard {
      switch heard {
      case .asked(let exchange):
        step("exchange", exchange.name.text, "of type \(exchange.typeName) is asked")
      case .bound(let binding):
        let kind = if case .queue = binding.destination { "queue" } else { "exchange" }
        let arguments =
          binding.arguments.isEmpty ? "" : " and arguments \(FieldValue.table(binding.arguments).shown)"
        step(
          "binding", binding.source.name.text,
          "with key '\(binding.key)'\(arguments) leads to \(kind) '\(binding.destination.name)'")
      case .named(let queue): step("queue", queue.name.text, "is named")
      case .alternate(let exchange, let alternate):
        step("exchange", exchange.name.text, "matches nothing: its alternate '\(alternate.name)' is asked")
      }
    }
  }

  private mutating func enqueue(_ message: Message, _ queue: Queue) {
    let before = outcome
    guard filter(message, queue.enqueueFilters, queue: queue) != nil else {
      if outcome != "denied" { outcome = before }
      return
    }
    step("queue", queue.name.text, "gets the message")
    queues.append(queue.name.text)
  }

  /// - Returns: nil if a filter ends the way
  private mutating func filter(_ original: Message, _ filters: [any MessageFilter], queue: Queue?) -> Message?
  {
    var message = original
    let context = FilterContext(vhost: vhost, identity: identity, queue: queue)
    let place = queue.map { " before queue '\($0.name)'" } ?? ""
    for filter in filters {
      switch filter.run(message, context) {
      case .pass: step("filter", filter.name, "lets the message pass\(place)")
      case .throttled(let milliseconds):
        step(
          "filter", filter.name, "lets it pass\(place), and holds the publisher back for \(milliseconds) ms")
      case .changed(let changed):
        let key = ByteString(changed.routingKey)
        let headers = FieldValue.table(changed.headerTable()).shown
        step(
          "filter", filter.name,
          "changes the message\(place): routing key '\(key)', headers \(headers), \(changed.body.count) octets"
        )
        message = changed
      case .dropped(let reason): return end("dropped", filter.name, "drops the message\(place): \(reason)")
      case .denied(let reason): return end("denied", filter.name, "refuses the message\(place): \(reason)")
      case .failed(let reason): return end("denied", filter.name, "fails\(place): \(reason)")
      case .delayed(let milliseconds, _):
        return end("delayed", filter.name, "keeps the message\(place) for \(milliseconds) ms")
      }
    }
    return message
  }

  private mutating func end(_ outcome: String, _ name: String, _ text: String) -> Message? {
    self.outcome = outcome
    step("filter", name, text)
    return nil
  }
}

extension ExplainRequest {
  fileprivate func message(to exchange: ByteString) throws(ProtocolError) -> Message {
    var fields = properties
    if !headers.isEmpty { fields["headers"] = .table(headers) }
    fields["body"] = .bytes(body)
    guard exchange.count <= 255, routingKey.utf8.count <= 255 else {
      throw ProtocolError(.preconditionFailed, "exchange or routing key is longer than 255 octets")
    }
    let empty = try Message.make(
      exchange: exchange, routingKey: ByteString(routingKey), properties: BasicProperties(), bodySize: 0)
    return try MessageChange(FieldTable(fields)).applied(to: empty).withExtraKeys()
  }
}
