import AMQPWire

/// What somebody may do in one virtual host, ready to be asked. Knows no authorizer.
///
/// A name has to match its pattern somewhere; the empty pattern is for the empty name only, as RabbitMQ has it.
public final class GrantedPermissions {
  private let configure: Pattern?
  private let write: Pattern?
  private let read: Pattern?
  /// Of exchanges that restrict routing keys.
  private var topics: [ByteString: (write: Pattern?, read: Pattern?)] = [:]
  /// Nothing is refused: nobody need ask.
  public let allowsEverything: Bool
  /// Patterns that are none, and why. No name matches them.
  public private(set) var faults: [String] = []

  /// - Parameter variables: what stands for `{name}` in the patterns of topics
  public init(
    _ permissions: Permissions, topics: [ByteString: TopicPermissions] = [:],
    variables: [(name: String, value: ByteString)] = []
  ) {
    var faults: [String] = []
    func pattern(_ text: String) -> Pattern? {
      do throws(PatternError) {
        return try Pattern(text.isEmpty ? "^$" : text)
      } catch {
        faults.append("'\(text)': \(error.reason)")
        return nil
      }
    }
    func expanded(_ text: String) -> Pattern? {
      pattern(variables.reduce(text) { $0.replacing("{\($1.name)}", with: Pattern.literal($1.value.text)) })
    }
    allowsEverything = permissions == .everything && topics.isEmpty
    configure = pattern(permissions.configure)
    write = pattern(permissions.write)
    read = pattern(permissions.read)
    for (exchange, own) in topics { self.topics[exchange] = (expanded(own.write), expanded(own.read)) }
    self.faults = faults
  }

  public func restrictsTopics(of exchange: ByteString) -> Bool { topics[exchange] != nil }

  /// Who has permissions for a virtual host may open it.
  public func allow(_ request: AccessRequest) -> Bool {
    switch request.resource {
    case .vhost: return true
    case .queue, .exchange:
      let pattern: Pattern? =
        switch request.operation {
        case .connect: nil
        case .configure: configure
        case .write: write
        case .read: read
        }
      return request.name.withOctets { pattern?.matches($0) ?? false }
    case .topic:
      guard let own = topics[request.name] else { return true }
      let pattern = request.operation == .write ? own.write : own.read
      return (request.routingKey ?? "").withOctets { pattern?.matches($0) ?? false }
    }
  }
}
