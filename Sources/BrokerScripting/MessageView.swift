/// A message as scripts see it: the core's octets in place. Nothing is copied, and nothing is read until a
/// script asks.

internal import AMQPWire
internal import BrokerCore
internal import LuaRuntime

/// One view serves a hook for all its messages, one at a time: what surrounds them is mostly the same.
final class MessageView {
  /// For the call at hand.
  let lua: UnsafeMutablePointer<LuaMessage>
  private var identity: Identity?
  private var vhost: VirtualHost?
  private var queue: Queue?
  // The octets of their names, which stay where they are.
  private var user = Octets([])
  private var attributes = Octets([])
  private var vhostName = Octets([])
  private var queueName = Octets([])

  init() {
    lua = .allocate(capacity: 1)
    lua.initialize(to: LuaMessage())
  }

  deinit { lua.deallocate() }

  /// Valid as long as `message` and the octets of `key` are.
  // hot:
  func show(_ message: Message, key: UnsafeRawBufferPointer, delayedMilliseconds: Int64? = nil) {
    lua.pointee.exchange = LuaBytes(message.exchange)
    lua.pointee.routing_key = LuaBytes(key)
    lua.pointee.properties = LuaBytes(message.properties)
    lua.pointee.body = LuaBytes(message.body)
    lua.pointee.delayed_milliseconds = delayedMilliseconds ?? -1
  }

  // hot:
  func show(_ identity: Identity, in vhost: VirtualHost) {
    if self.identity !== identity { become(identity) }
    if self.vhost !== vhost { enter(vhost) }
  }

  // hot:
  func show(_ message: Message, _ context: FilterContext) {
    show(message, key: message.routingKey, delayedMilliseconds: context.delayedMilliseconds)
    show(context.identity, in: context.vhost)
    lua.pointee.redelivered = context.redelivered
    if queue !== context.queue { stand(before: context.queue) }
  }

  private func become(_ identity: Identity) {
    self.identity = identity
    user = Octets(identity.nameOctets.bytes)
    attributes = Octets(identity.attributes.content)
    lua.pointee.user = user.lua
    lua.pointee.identity = attributes.lua
  }

  private func enter(_ vhost: VirtualHost) {
    self.vhost = vhost
    vhostName = Octets(vhost.name.bytes)
    lua.pointee.vhost = vhostName.lua
  }

  private func stand(before queue: Queue?) {
    self.queue = queue
    queueName = Octets(queue?.name.bytes ?? [])
    lua.pointee.queue = queueName.lua
  }
}

/// Octets that stay where they are, to be shown to a script during calls.
private final class Octets {
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
