internal import CKeyIndex

/// Topic patterns as a tree of words, whose nodes are in C: nothing is counted or copied while a key is
/// matched. Knows no exchange.
final class TopicTrie {
  private let index: OpaquePointer
  /// Holds what the index knows by address.
  private var bindings: Set<Binding> = []

  init() {
    let secret = (0..<16).map { _ in UInt8.random(in: 0 ... .max) }
    guard let index = ki_open(KI_TOPIC_PATTERNS, secret) else { preconditionFailure("memory holds a trie") }
    self.index = index
  }

  deinit { ki_close(index) }

  var isEmpty: Bool { bindings.isEmpty }
  /// Nodes reached since the trie was made: what matches cost, for tests that count and do not measure.
  var steps: UInt64 { ki_steps(index) }

  func add(_ binding: Binding) {
    guard bindings.insert(binding).inserted else { return }
    let isIn = binding.key.bytes.withUnsafeBufferPointer {
      ki_add(index, $0.baseAddress, $0.count, binding.address)
    }
    precondition(isIn, "memory holds a binding's words")
  }

  func remove(_ binding: Binding) {
    guard ki_remove(index, binding.address) else { return }
    bindings.remove(binding)
  }

  // hot:
  @inline(__always)
  func match(_ key: UnsafeRawBufferPointer, _ found: (Binding) -> Void) {
    var ids: UnsafePointer<UInt64>?
    var count = 0
    let start = key.baseAddress?.assumingMemoryBound(to: UInt8.self)
    precondition(ki_match(index, start, key.count, &ids, &count), "memory holds what a key finds")
    for id in UnsafeBufferPointer(start: ids, count: count) { Binding.with(address: id, found) }
  }
}

extension Binding {
  /// A number for those who keep none of Swift's references, valid while somebody holds the binding.
  public var address: UInt64 { UInt64(UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque())) }

  /// - Parameter address: of a binding that somebody holds
  // hot:
  @inline(__always)
  public static func with(address: UInt64, _ body: (Binding) -> Void) {
    guard let place = UnsafeRawPointer(bitPattern: UInt(address)) else {
      preconditionFailure("a binding has an address")
    }
    Unmanaged<Binding>.fromOpaque(place)._withUnsafeGuaranteedRef(body)
  }
}
