/// What scripts keep under `shared(name)`: dictionaries that all interpreters of one thread see, and that
/// outlive them. Knows no script.
///
/// Belongs to one thread at a time, with the interpreters that have it: there are no locks.

internal import CLuaGuard

package final class LuaShared {
  let store: OpaquePointer?

  /// memoryBytes: over all dictionaries; beyond, old entries go.
  package init(memoryBytes: Int = 64 << 20, seed: UInt64 = .random(in: 0 ... .max)) {
    store = lg_shared_open(max(0, memoryBytes), seed)
  }

  deinit { lg_shared_close(store) }

  package var memoryBytes: Int { store.map(lg_shared_memory) ?? 0 }
}
