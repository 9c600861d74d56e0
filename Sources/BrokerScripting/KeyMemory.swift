/// Where the keys of a pure exchange led, so that its script is not asked again. Knows no script.
///
/// Once it is full, the oldest key makes room only for one that has come twice of late: where keys hardly ever
/// come again, to remember them would cost more than it saves, and would push out those that do.

internal import AMQPWire
internal import BrokerCore
internal import CKeyIndex
internal import LuaRuntime

final class KeyMemory {
  struct Route {
    /// Of bindings that their exchange holds: whoever takes one away forgets all.
    let addresses: ContiguousArray<UInt64>
    let queues: ContiguousArray<ByteString>

    var count: Int { addresses.count + queues.count }
  }

  private let limit: Int
  private let destinationLimit: Int
  /// By its key, each route's place and 1.
  private var index = KeyMemory.emptyIndex()
  private var routes: ContiguousArray<Route> = []
  private var oldest = 0
  /// Hashes of keys that found it full, each in a place of its own; made when the first does.
  private var newcomers: ContiguousArray<UInt64> = []
  private(set) var destinations = 0

  /// - Parameters:
  ///   - limit: keys
  ///   - destinationLimit: destinations of all routes together; beyond, all are forgotten
  init(limit: Int, destinationLimit: Int) {
    self.limit = limit
    self.destinationLimit = destinationLimit
  }

  deinit { ki_close(index) }

  private static func emptyIndex() -> OpaquePointer {
    let secret = (0..<16).map { _ in UInt8.random(in: 0 ... .max) }
    guard let index = ki_open(KI_WHOLE_KEYS, secret) else { preconditionFailure("memory holds an index") }
    return index
  }

  // hot:
  private func place(of key: UnsafeRawBufferPointer) -> Int? {
    var ids: UnsafePointer<UInt64>?
    var count = 0
    guard ki_match(index, key.octets, key.count, &ids, &count), count == 1, let ids else { return nil }
    return Int(ids[0]) - 1
  }

  func remembers(_ key: UnsafeRawBufferPointer) -> Bool { place(of: key) != nil }

  /// - Returns: false if the key is not known
  // hot:
  func lead(_ key: UnsafeRawBufferPointer, to destinations: Destinations) -> Bool {
    guard let place = place(of: key) else { return false }
    routes.withUnsafeBufferPointer { routes in
      routes[place].addresses.withUnsafeBufferPointer {
        for address in $0 { Binding.with(address: address) { destinations.add($0) } }
      }
      for name in routes[place].queues { name.withOctets { destinations.add(queueNamed: $0) } }
    }
    return true
  }

  /// Whether there is room for a key that is not known, or it has come before since there is none.
  // hot:
  func wants(_ key: UnsafeRawBufferPointer) -> Bool {
    if routes.count < limit { return true }
    if newcomers.isEmpty { newcomers = ContiguousArray(repeating: 0, count: limit) }
    let hash = ki_hash(index, key.octets, key.count)
    let place = Int(hash % UInt64(limit))
    if newcomers[place] == hash { return true }
    newcomers[place] = hash
    return false
  }

  func remember(_ key: UnsafeRawBufferPointer, _ route: Route) {
    if destinations + route.count > destinationLimit { forgetAll() }
    var place = routes.count
    if place < limit {
      routes.append(route)
    } else {
      place = oldest
      oldest = (oldest + 1) % limit
      ki_remove(index, UInt64(place) + 1)
      destinations -= routes[place].count
      routes[place] = route
    }
    destinations += route.count
    precondition(ki_add(index, key.octets, key.count, UInt64(place) + 1), "memory holds a key")
  }

  func forgetAll() {
    guard !routes.isEmpty else { return }
    ki_close(index)
    index = Self.emptyIndex()
    routes.removeAll(keepingCapacity: true)
    newcomers.removeAll()
    oldest = 0
    destinations = 0
  }
}

extension KeyMemory.Route {
  init(_ ids: UnsafeBufferPointer<UInt64>, _ names: UnsafeBufferPointer<LuaBytes>) {
    addresses = ContiguousArray(ids)
    queues = ContiguousArray(names.map { ByteString($0.buffer) })
  }
}

extension UnsafeRawBufferPointer {
  fileprivate var octets: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}
