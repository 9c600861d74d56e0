import BrokerCore

/// Who is at the other end.
struct Peer: CustomStringConvertible {
  let address: PeerAddress

  init(address: String, port: Int = 0, isLoopback: Bool) {
    self.address = PeerAddress(address: address, port: port, isLoopback: isLoopback)
  }

  var description: String {
    let host = address.address.contains(":") ? "[\(address.address)]" : address.address
    return address.port > 0 ? "connection \(host):\(address.port)" : "connection \(host)"
  }
}
