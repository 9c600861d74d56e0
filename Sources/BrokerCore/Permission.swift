import AMQPWire

/// What a user may do by the permissions that its login gave it. Knows no authorizer.

/// A user's permissions in one virtual host, ready to be asked. A name has to match the pattern somewhere; the
/// empty pattern is for the empty name only, as RabbitMQ has it.
public final class GrantedPermissions {
  private let configure: Pattern?
  private let write: Pattern?
  private let read: Pattern?
  /// Patterns that are none, and why. No name matches them.
  public private(set) var faults: [String] = []

  public init(_ permissions: Permissions) {
    var faults: [String] = []
    func pattern(_ text: String) -> Pattern? {
      do throws(PatternError) {
        return try Pattern(text.isEmpty ? "^$" : text)
      } catch {
        faults.append("'\(text)': \(error.reason)")
        return nil
      }
    }
    configure = pattern(permissions.configure)
    write = pattern(permissions.write)
    read = pattern(permissions.read)
    self.faults = faults
  }

  /// Who has permissions for a virtual host may open it. Topics have none of their own: who may write to or read
  /// from the exchange may use every routing key.
  public func allow(_ request: AccessRequest) -> Bool {
    switch request.resource {
    case .vhost, .topic: return true
    case .queue, .exchange:
      let pattern: Pattern? =
        switch request.operation {
        case .connect: nil
        case .configure: configure
        case .write: write
        case .read: read
        }
      return request.name.withOctets { pattern?.matches($0) ?? false }
    }
  }
}
