/// A message as scripts see it: the core's octets in place. Nothing is copied, and nothing is read until a
/// script asks.

package import BrokerCore
internal import LuaRuntime

extension LuaMessage {
  /// Valid as long as `message` and the octets of `key` are.
  // hot:
  package init(_ message: Message, key: UnsafeRawBufferPointer) {
    self.init()
    exchange = LuaBytes(message.exchange)
    routing_key = LuaBytes(key)
    properties = LuaBytes(message.properties)
    body = LuaBytes(message.body)
    delayed_milliseconds = -1
  }
}
