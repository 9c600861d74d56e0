/// A method's number and the protocol that all methods share. Knows no single method.

/// A method's class and number.
@frozen
public struct MethodID: Hashable, Sendable, CustomStringConvertible {
  public let classID: UInt16
  public let methodID: UInt16

  @inlinable
  public init(_ classID: UInt16, _ methodID: UInt16) {
    self.classID = classID
    self.methodID = methodID
  }

  @inlinable
  public static func == (left: MethodID, right: MethodID) -> Bool {
    left.classID == right.classID && left.methodID == right.methodID
  }

  public var description: String { "\(classID).\(methodID)" }
}

/// A method is its fields, in the order of the specification. `visit` names them once, for both
/// directions: a `FieldReader` fills them from a frame, a `FieldWriter` appends them to one.
public protocol Method: Sendable {
  static var id: MethodID { get }
  /// Whether a content header and a body follow.
  static var hasContent: Bool { get }
  init()
  mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError)
}

/// What a method shows its fields to. Only reading can fail.
public protocol FieldVisitor {
  mutating func bit(_ value: inout Bool) throws(ProtocolError)
  mutating func octet(_ value: inout UInt8) throws(ProtocolError)
  mutating func short(_ value: inout UInt16) throws(ProtocolError)
  mutating func long(_ value: inout UInt32) throws(ProtocolError)
  mutating func longLong(_ value: inout UInt64) throws(ProtocolError)
  mutating func shortString(_ value: inout ByteString) throws(ProtocolError)
  mutating func longString(_ value: inout ByteString) throws(ProtocolError)
  mutating func table(_ value: inout FieldTable) throws(ProtocolError)
}

extension Method {
  public static var hasContent: Bool { false }

  public mutating func visit(_ fields: inout some FieldVisitor) throws(ProtocolError) {}

  /// `QueueDeclareOk { $0.queue = name }`
  public init(_ fill: (inout Self) -> Void) {
    self.init()
    fill(&self)
  }

  /// Reads the arguments of a method frame, all of them and nothing behind them.
  /// - Throws: 501, as RabbitMQ does, with a text that names the method and what is wrong
  public init(arguments: UnsafeRawBufferPointer) throws(ProtocolError) {
    self.init()
    var reader = FieldReader(arguments)
    do throws(ProtocolError) {
      try visit(&reader)
      try reader.expectEnd()
    } catch .malformedText {
      throw .malformedText
    } catch {
      throw ProtocolError(error.code, "cannot decode \(Self.self): \(error.text)")
    }
  }

  /// Appends the whole method frame.
  public func appendFrame(channel: UInt16, to bytes: inout [UInt8]) {
    var copy = self
    var writer = FieldWriter()
    writer.put(FrameType.method.rawValue)
    writer.put(channel)
    writer.put(UInt32(0))
    writer.put(Self.id.classID)
    writer.put(Self.id.methodID)
    do throws(ProtocolError) { try copy.visit(&writer) } catch {
      preconditionFailure("a writer does not fail")
    }
    writer.patchLong(UInt32(writer.bytes.count - WireLimits.frameHeaderSize), at: 3)
    writer.put(WireLimits.frameEnd)
    bytes.append(contentsOf: writer.bytes)
  }
}

extension MethodID {
  /// Every method of AMQP 0-9-1 with RabbitMQ's extensions.
  public static let all: [any Method.Type] = [
    ConnectionStart.self, ConnectionStartOk.self, ConnectionSecure.self, ConnectionSecureOk.self,
    ConnectionTune.self, ConnectionTuneOk.self, ConnectionOpen.self, ConnectionOpenOk.self,
    ConnectionClose.self, ConnectionCloseOk.self, ConnectionBlocked.self, ConnectionUnblocked.self,
    ConnectionUpdateSecret.self, ConnectionUpdateSecretOk.self,
    ChannelOpen.self, ChannelOpenOk.self, ChannelFlow.self, ChannelFlowOk.self, ChannelClose.self,
    ChannelCloseOk.self,
    AccessRequest.self, AccessRequestOk.self,
    ExchangeDeclare.self, ExchangeDeclareOk.self, ExchangeDelete.self, ExchangeDeleteOk.self,
    ExchangeBind.self, ExchangeBindOk.self, ExchangeUnbind.self, ExchangeUnbindOk.self,
    QueueDeclare.self, QueueDeclareOk.self, QueueBind.self, QueueBindOk.self, QueuePurge.self,
    QueuePurgeOk.self, QueueDelete.self, QueueDeleteOk.self, QueueUnbind.self, QueueUnbindOk.self,
    BasicQos.self, BasicQosOk.self, BasicConsume.self, BasicConsumeOk.self, BasicCancel.self,
    BasicCancelOk.self, BasicPublish.self, BasicReturn.self, BasicDeliver.self, BasicGet.self,
    BasicGetOk.self, BasicGetEmpty.self, BasicAck.self, BasicReject.self, BasicRecoverAsync.self,
    BasicRecover.self, BasicRecoverOk.self, BasicNack.self,
    ConfirmSelect.self, ConfirmSelectOk.self,
    TxSelect.self, TxSelectOk.self, TxCommit.self, TxCommitOk.self, TxRollback.self, TxRollbackOk.self,
  ]
}
