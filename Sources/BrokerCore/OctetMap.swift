import AMQPWire

#if canImport(Glibc)
  import Glibc
#endif

/// A hash table from octets to values, asked with octets where they lie: no key is made to look one up.
/// Knows nothing of what its keys mean.
public struct OctetMap<Value> {
  private struct Slot {
    let hash: Int
    let key: ByteString
    var value: Value
  }

  /// Open addressing with linear probing; the count of slots is a power of two, at most 3/4 are taken.
  private var slots: ContiguousArray<Slot?> = []
  public private(set) var count = 0

  public init() {}

  public var isEmpty: Bool { count == 0 }
  public var values: [Value] { slots.compactMap { $0?.value } }

  /// Swift's seeded hash: a client that chooses keys cannot choose their collisions.
  private static func hash(_ octets: UnsafeRawBufferPointer) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: octets)
    return hasher.finalize()
  }

  // hot:
  private func index(of octets: UnsafeRawBufferPointer, hash: Int) -> Int? {
    guard count > 0 else { return nil }
    let mask = slots.count - 1
    var index = hash & mask
    while let slot = slots[index] {
      if slot.hash == hash, slot.key.equals(octets) { return index }
      index = (index + 1) & mask
    }
    return nil
  }

  public subscript(octets: UnsafeRawBufferPointer) -> Value? {
    guard let index = index(of: octets, hash: Self.hash(octets)) else { return nil }
    return slots[index]?.value
  }

  public subscript(key: ByteString) -> Value? {
    get { key.bytes.withUnsafeBytes { self[$0] } }
    set {
      let hash = key.bytes.withUnsafeBytes { Self.hash($0) }
      let found = key.bytes.withUnsafeBytes { index(of: $0, hash: hash) }
      switch (found, newValue) {
      case (let index?, let value?): slots[index]?.value = value
      case (let index?, nil): remove(at: index)
      case (nil, let value?):
        if (count + 1) * 4 > slots.count * 3 { grow() }
        insert(Slot(hash: hash, key: key, value: value))
      case (nil, nil): break
      }
    }
  }

  /// Changes the value of a key in place.
  @discardableResult
  public mutating func update<Result>(
    _ key: ByteString, default absent: @autoclosure () -> Value, _ change: (inout Value) -> Result
  ) -> Result {
    let hash = key.bytes.withUnsafeBytes { Self.hash($0) }
    var found = key.bytes.withUnsafeBytes { index(of: $0, hash: hash) }
    if found == nil {
      self[key] = absent()
      found = key.bytes.withUnsafeBytes { index(of: $0, hash: hash) }
    }
    guard let index = found, var slot = slots[index] else { preconditionFailure("the key was just put in") }
    // Taken out meanwhile, so that what is changed has one owner and is not copied.
    slots[index] = nil
    defer { slots[index] = slot }
    return change(&slot.value)
  }

  private mutating func insert(_ slot: Slot) {
    let mask = slots.count - 1
    var index = slot.hash & mask
    while slots[index] != nil { index = (index + 1) & mask }
    slots[index] = slot
    count += 1
  }

  private mutating func grow() {
    let old = slots
    slots = ContiguousArray(repeating: nil, count: max(8, old.count * 2))
    count = 0
    for case let slot? in old { insert(slot) }
  }

  /// Closes the gap, so that no probe ends before a key that was pushed past it.
  private mutating func remove(at hole: Int) {
    let mask = slots.count - 1
    slots[hole] = nil
    count -= 1
    var index = (hole + 1) & mask
    while let slot = slots[index] {
      slots[index] = nil
      count -= 1
      insert(slot)
      index = (index + 1) & mask
    }
  }
}

extension ByteString {
  @inline(__always)
  func equals(_ octets: UnsafeRawBufferPointer) -> Bool {
    bytes.withUnsafeBytes { own in
      guard own.count == octets.count else { return false }
      guard let left = own.baseAddress, let right = octets.baseAddress else { return true }
      return memcmp(left, right, own.count) == 0
    }
  }
}
