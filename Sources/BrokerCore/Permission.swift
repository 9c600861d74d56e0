import AMQPWire

/// What a user may do by the permissions that its login gave it. Knows no authorizer.

/// A user's permissions in one virtual host, ready to be asked.
public final class GrantedPermissions {
  private let configure: PermissionPattern
  private let write: PermissionPattern
  private let read: PermissionPattern

  public init(_ permissions: Permissions) {
    configure = PermissionPattern(permissions.configure)
    write = PermissionPattern(permissions.write)
    read = PermissionPattern(permissions.read)
  }

  /// Who has permissions for a virtual host may open it. Topics have none of their own: who may write to or read
  /// from the exchange may use every routing key.
  public func allow(_ request: AccessRequest) -> Bool {
    switch request.resource {
    case .vhost, .topic: true
    case .queue, .exchange:
      switch request.operation {
      case .connect: true
      case .configure: configure.matches(request.name)
      case .write: write.matches(request.name)
      case .read: read.matches(request.name)
      }
    }
  }
}

/// A regular expression that a name has to match somewhere. The empty one is for the empty name only, as
/// RabbitMQ has it.
struct PermissionPattern {
  private let text: [UInt8]

  init(_ text: String) { self.text = Array(text.utf8) }

  func matches(_ name: ByteString) -> Bool {
    if text.isEmpty { return name.isEmpty }
    if text == Array(".*".utf8) { return true }
    guard text.count <= name.count else { return false }
    return (0...(name.count - text.count)).contains { name.bytes[$0...].starts(with: text) }
  }
}
