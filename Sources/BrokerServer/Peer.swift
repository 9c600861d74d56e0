import BrokerCore

/// Who is at the other end.
struct Peer: CustomStringConvertible {
  let address: PeerAddress
  /// Where it came in; nil without a socket.
  let local: PeerAddress?

  init(address: String, port: Int = 0, isLoopback: Bool) {
    self.init(PeerAddress(address: address, port: port, isLoopback: isLoopback))
  }

  init(_ address: PeerAddress, local: PeerAddress? = nil) {
    self.address = address
    self.local = local
  }

  var description: String {
    let host = address.address.contains(":") ? "[\(address.address)]" : address.address
    return address.port > 0 ? "connection \(host):\(address.port)" : "connection \(host)"
  }
}
