import NIOCore
import NIOPosix

/// A line over TCP. Knows no frame.
package final class TCPLine: Line, Sendable {
  /// Far more than anything here takes, so that only what hangs is cut off.
  private static let patience = TimeAmount.seconds(30)

  private let channel: any NIOCore.Channel
  private let intake: NIOLoopBound<Intake>

  /// - Parameter receiveBuffer: octets that the system may keep for a client that does not read
  package static func open(
    host: String = "127.0.0.1", port: Int, receiveBuffer: Int? = nil
  ) async throws -> TCPLine {
    var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connectTimeout(patience)
      .channelOption(.autoRead, value: false)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.maxMessagesPerRead, value: 1)
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 262_144))
    if let receiveBuffer {
      bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: .init(receiveBuffer))
    }
    let (channel, intake) = try await bootstrap.connect(host: host, port: port) { channel in
      channel.eventLoop.makeCompletedFuture {
        let intake = Intake()
        try channel.pipeline.syncOperations.addHandler(intake)
        return (channel, NIOLoopBound(intake, eventLoop: channel.eventLoop))
      }
    }
    return TCPLine(channel: channel, intake: intake)
  }

  private init(channel: any NIOCore.Channel, intake: NIOLoopBound<Intake>) {
    self.channel = channel
    self.intake = intake
  }

  package func send(_ octets: [UInt8]) {
    channel.writeAndFlush(ByteBuffer(bytes: octets), promise: nil)
  }

  package func receive() async throws -> Receipt {
    let (channel, intake) = (channel, intake)
    return try await channel.eventLoop.flatSubmit {
      intake.value.next(from: channel, within: Self.patience)
    }.get()
  }

  package func close() async { try? await channel.close().get() }
}

/// Octets that have come and were not asked for yet, and who asked for more. Lives on the channel's loop.
private final class Intake: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private var octets = ByteBuffer()
  private var hasEnded = false
  private var waiting: EventLoopPromise<Receipt>?

  func next(from channel: any NIOCore.Channel, within patience: TimeAmount) -> EventLoopFuture<Receipt> {
    let promise = channel.eventLoop.makePromise(of: Receipt.self)
    waiting = promise
    let deadline = channel.eventLoop.scheduleTask(in: patience) { promise.fail(Silence()) }
    promise.futureResult.whenComplete { _ in deadline.cancel() }
    answer()
    if waiting != nil { channel.read() }
    return promise.futureResult
  }

  private func answer() {
    guard let promise = waiting else { return }
    if octets.readableBytes > 0 {
      waiting = nil
      let come = octets.readBytes(length: octets.readableBytes) ?? []
      octets.clear()
      promise.succeed(.octets(come))
    } else if hasEnded {
      waiting = nil
      promise.succeed(.end)
    }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    var buffer = unwrapInboundIn(data)
    octets.writeBuffer(&buffer)
    answer()
  }

  func channelInactive(context: ChannelHandlerContext) {
    hasEnded = true
    answer()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A reset is an end too.
    context.close(promise: nil)
  }
}
