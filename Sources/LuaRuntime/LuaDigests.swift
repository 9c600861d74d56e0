/// The sums behind `hash`, `hmac` and `password`. Knows no script.

internal import CLuaGuard
import Crypto

enum LuaDigests {
  /// Writes the sum to `out` (64 octets) and returns its size; 0 for a kind that there is not.
  static func write(
    _ kind: UInt32, key: UnsafeRawBufferPointer?, _ text: UnsafeRawBufferPointer,
    to out: UnsafeMutableRawBufferPointer
  ) -> Int32 {
    switch kind {
    case LG_MD5.rawValue: sum(Insecure.MD5.self, key, text, out)
    case LG_SHA_1.rawValue: sum(Insecure.SHA1.self, key, text, out)
    case LG_SHA_256.rawValue: sum(SHA256.self, key, text, out)
    case LG_SHA_512.rawValue: sum(SHA512.self, key, text, out)
    default: 0
    }
  }

  private static func sum<Function: HashFunction>(
    _ function: Function.Type, _ key: UnsafeRawBufferPointer?, _ text: UnsafeRawBufferPointer,
    _ out: UnsafeMutableRawBufferPointer
  ) -> Int32 {
    if let key {
      var code = HMAC<Function>(key: SymmetricKey(data: Array(key)))
      code.update(data: text)
      return code.finalize().withUnsafeBytes { copy($0, out) }
    }
    var hash = Function()
    hash.update(bufferPointer: text)
    return hash.finalize().withUnsafeBytes { copy($0, out) }
  }

  private static func copy(_ sum: UnsafeRawBufferPointer, _ out: UnsafeMutableRawBufferPointer) -> Int32 {
    guard sum.count <= out.count else { return 0 }
    out.copyMemory(from: sum)
    return Int32(sum.count)
  }

  /// What the C side calls.
  static func callback(
    _: UnsafeMutableRawPointer?, kind: LGDigest, key: UnsafePointer<LGBytes>?, text: LGBytes,
    out: UnsafeMutablePointer<UInt8>?
  ) -> Int32 {
    guard let out else { return 0 }
    return write(
      kind.rawValue, key: key?.pointee.buffer, text.buffer,
      to: UnsafeMutableRawBufferPointer(start: out, count: Int(LG_DIGEST_BYTES)))
  }
}
