import AMQPWire
import BrokerCore
import Logging
import NIOCore

/// A socket of a client, as SwiftNIO sees it: read buffers go to the `ClientConnection`, its outbox goes to the
/// socket. Knows no frame. The one `ChannelHandler` of the pipeline.
final class ConnectionHandler: ChannelDuplexHandler, Transport {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let server: ServerCore
  private var connection: ClientConnection?
  private var context: ChannelHandlerContext?
  /// A read that was held back, because the peer does not take what it asked for.
  private var readIsWanted = false
  private var isResuming = false

  init(server: ServerCore) { self.server = server }

  func channelActive(context: ChannelHandlerContext) {
    self.context = context
    let connection = ClientConnection(
      core: server, peer: Peer(from: context.channel), transport: self)
    self.connection = connection
    server.add(connection)
    context.fireChannelActive()
  }

  // hot:
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = unwrapInboundIn(data)
    guard let connection else { return }
    buffer.withUnsafeReadableBytes { connection.receive($0) }
  }

  // hot:
  func channelReadComplete(context: ChannelHandlerContext) { server.flush() }

  func read(context: ChannelHandlerContext) {
    guard connection?.acceptsInput ?? true else {
      readIsWanted = true
      return
    }
    context.read()
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    guard let connection else { return }
    connection.outbox.isSocketFull = !context.channel.isWritable
    if context.channel.isWritable { resumeSoon() }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    // The peer has closed its direction: nothing more will come, and nothing is owed.
    if case .inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
  }

  func channelInactive(context: ChannelHandlerContext) { forget() }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    server.broker.logger.debug("\(connection?.peer.description ?? "connection"): \(error)")
    context.close(promise: nil)
  }

  private func forget() {
    guard let connection else { return }
    self.connection = nil
    context = nil
    connection.disconnected()
    server.remove(connection)
    server.flush()
  }

  // MARK: Transport

  func send(_ buffer: ByteBuffer) {
    guard let context else { return }
    context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
  }

  func resumeSoon() {
    guard !isResuming, let context else { return }
    isResuming = true
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.eventLoop.execute { bound.value.resume() }
  }

  private func resume() {
    isResuming = false
    guard let connection, let context else { return }
    connection.resume()
    server.flush()
    guard readIsWanted, connection.acceptsInput else { return }
    readIsWanted = false
    context.read()
  }

  func finish(orderly: Bool) {
    guard let context, let connection else { return }
    if let rest = connection.outbox.take() { context.writeAndFlush(wrapOutboundOut(rest), promise: nil) }
    if orderly {
      context.close(mode: .output, promise: nil)
    } else {
      context.close(promise: nil)
    }
  }
}

extension Peer {
  fileprivate init(from channel: any NIOCore.Channel) {
    self.init(PeerAddress(channel.remoteAddress), local: PeerAddress(channel.localAddress))
  }
}

extension PeerAddress {
  init(_ address: SocketAddress?) {
    let isLoopback =
      switch address {
      case .v4(let v4): UInt32(bigEndian: v4.address.sin_addr.s_addr) >> 24 == 127
      case .v6: address?.ipAddress.map { $0 == "::1" || $0.hasPrefix("::ffff:127.") } ?? false
      case .unixDomainSocket: true
      case nil: false
      }
    self.init(
      address: address.map { $0.ipAddress ?? $0.pathname ?? $0.description } ?? "unknown",
      port: address?.port ?? 0, isLoopback: isLoopback)
  }
}
