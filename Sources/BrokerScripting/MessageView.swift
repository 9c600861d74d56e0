/// A message as scripts see it: the core's octets in place. Nothing is copied, and nothing is read until a
/// script asks.

internal import AMQPWire
internal import BrokerCore
internal import LuaRuntime

extension LuaMessage {
  /// Valid as long as `message` and the octets of `key` are.
  // hot:
  init(_ message: Message, key: UnsafeRawBufferPointer) {
    self.init()
    exchange = LuaBytes(message.exchange)
    routing_key = LuaBytes(key)
    properties = LuaBytes(message.properties)
    body = LuaBytes(message.body)
    delayed_milliseconds = -1
  }
}

/// Who publishes, and where, as octets that stay in place: made anew only when somebody else does.
struct Surroundings {
  private var user = Octets([])
  private var attributes = Octets([])
  private var vhost = Octets([])
  private var queue = Octets([])
  private var identity: Identity?
  private var vhostName: ByteString?
  private var queueName: ByteString?

  // hot:
  mutating func fill(_ view: inout LuaMessage, identity: Identity, vhost name: ByteString) {
    if self.identity !== identity {
      self.identity = identity
      user = Octets(identity.nameOctets.bytes)
      attributes = Octets(identity.attributes.content)
    }
    if vhostName != name {
      vhostName = name
      vhost = Octets(name.bytes)
    }
    view.user = user.lua
    view.identity = attributes.lua
    view.vhost = vhost.lua
  }

  // hot:
  mutating func fill(_ view: inout LuaMessage, _ context: FilterContext) {
    fill(&view, identity: context.identity, vhost: context.vhost.name)
    view.redelivered = context.redelivered
    if let delayed = context.delayedMilliseconds { view.delayed_milliseconds = delayed }
    guard let name = context.queue?.name else { return }
    if queueName != name {
      queueName = name
      queue = Octets(name.bytes)
    }
    view.queue = queue.lua
  }
}

/// Octets that stay where they are, to be shown to a script during calls.
final class Octets {
  private let buffer: UnsafeMutableRawBufferPointer
  /// Without octets: nothing is there.
  let lua: LuaBytes

  init(_ octets: [UInt8]) {
    buffer = .allocate(byteCount: octets.count + 1, alignment: 1)
    buffer.copyBytes(from: octets)
    lua =
      octets.isEmpty
      ? LuaBytes() : LuaBytes(UnsafeRawBufferPointer(rebasing: buffer[..<octets.count]))
  }

  deinit { buffer.deallocate() }
}
