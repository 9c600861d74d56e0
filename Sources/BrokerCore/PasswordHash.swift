import AMQPWire
import Crypto

/// What is kept of a password, in RabbitMQ's form (https://www.rabbitmq.com/docs/passwords): four octets of salt, then
/// the digest of salt and password. Knows no user.
public struct PasswordHash: Sendable, Equatable {
  /// By the names of RabbitMQ's modules, as definitions files have them.
  public enum Algorithm: String, Sendable, CaseIterable {
    case sha256 = "rabbit_password_hashing_sha256"
    case sha512 = "rabbit_password_hashing_sha512"
    /// Of RabbitMQ before 3.6: to be read, never to be made.
    case md5 = "rabbit_password_hashing_md5"

    fileprivate var digestCount: Int {
      switch self {
      case .sha256: SHA256.byteCount
      case .sha512: SHA512.byteCount
      case .md5: Insecure.MD5.byteCount
      }
    }

    fileprivate func digest(_ octets: [UInt8]) -> [UInt8] {
      switch self {
      case .sha256: Array(SHA256.hash(data: octets))
      case .sha512: Array(SHA512.hash(data: octets))
      case .md5: Array(Insecure.MD5.hash(data: octets))
      }
    }
  }

  private static let saltCount = 4

  public let algorithm: Algorithm
  /// Salt and digest; a definitions file has them in base64.
  public let octets: [UInt8]

  /// With new salt.
  public init(of password: ByteString, _ algorithm: Algorithm = .sha256) {
    var generator = SystemRandomNumberGenerator()
    let salt = (0..<Self.saltCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
    self.algorithm = algorithm
    octets = salt + algorithm.digest(salt + password.bytes)
  }

  /// As it was kept. Nil if that is no hash of this kind.
  public init?(octets: [UInt8], _ algorithm: Algorithm) {
    guard octets.count == Self.saltCount + algorithm.digestCount else { return nil }
    self.algorithm = algorithm
    self.octets = octets
  }

  /// Compares all octets, whichever differs first.
  public func matches(_ password: ByteString) -> Bool {
    let digest = algorithm.digest(octets.prefix(Self.saltCount) + password.bytes)
    var difference: UInt8 = 0
    for (own, other) in zip(octets.dropFirst(Self.saltCount), digest) { difference |= own ^ other }
    return difference == 0
  }

  /// No password has it: whoever asks for a user that is not there waits as long as for a wrong password.
  static let ofNobody = PasswordHash(of: ByteString((0..<32).map { _ in UInt8.random(in: 0...255) }))
}
