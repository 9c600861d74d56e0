/// `dns.resolve` of scripts, away from the core loop. Knows no interpreter.

internal import LuaRuntime
internal import NIOPosix

#if canImport(Glibc)
  internal import Glibc
#else
  internal import Darwin
#endif

enum DNS {
  static let mostAddresses = 64

  /// - Returns: a list of addresses, or null and a reason
  static func resolve(_ name: String) async -> [LuaValue] {
    guard !name.isEmpty, name.utf8.count <= 253, !name.utf8.contains(0) else {
      return [.null, .text("'\(name.prefix(64))' is not a host's name")]
    }
    do {
      return try await NIOThreadPool.singleton.runIfActive { lookUp(name) }
    } catch {
      return [.null, .text("\(error)")]
    }
  }

  private static func lookUp(_ name: String) -> [LuaValue] {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var first: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(name, nil, &hints, &first)
    guard status == 0 else { return [.null, .text(String(cString: gai_strerror(status)))] }
    defer { freeaddrinfo(first) }
    var addresses: [LuaValue] = []
    var next = first
    while let entry = next, addresses.count < mostAddresses {
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      let found = getnameinfo(
        entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
      if found == 0 {
        let address = LuaValue.text(
          String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        if !addresses.contains(address) { addresses.append(address) }
      }
      next = entry.pointee.ai_next
    }
    return [.list(addresses)]
  }
}
