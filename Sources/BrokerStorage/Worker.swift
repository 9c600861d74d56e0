#if RocksDB
  import Foundation

  /// A thread that does one thing after the other, in the order in which they were given to it. Knows no store.
  ///
  /// It is a real one: what it does blocks in the kernel, which threads of Swift's pool must not.
  /// @unchecked Sendable: `condition` guards all that changes; it is locked in each method that touches it.
  final class Worker: @unchecked Sendable {
    private let condition = NSCondition()
    private var jobs: [@Sendable () -> Void] = []
    private var isEnding = false
    private var hasEnded = false

    init(name: String) {
      let thread = Thread { [self] in run() }
      thread.name = name
      thread.start()
    }

    func add(_ job: @escaping @Sendable () -> Void) {
      condition.lock()
      jobs.append(job)
      condition.signal()
      condition.unlock()
    }

    /// For what need not be done any more when the end has come.
    func addUnlessEnding(_ job: @escaping @Sendable () -> Void) {
      condition.lock()
      if !isEnding {
        jobs.append(job)
        condition.signal()
      }
      condition.unlock()
    }

    /// Returns when all that was given has been done, and the thread does no more.
    func end() {
      condition.lock()
      isEnding = true
      condition.broadcast()
      while !hasEnded { condition.wait() }
      condition.unlock()
    }

    private func run() {
      var taken: [@Sendable () -> Void] = []
      while true {
        condition.lock()
        while jobs.isEmpty && !isEnding { condition.wait() }
        swap(&taken, &jobs)
        hasEnded = taken.isEmpty
        condition.broadcast()
        condition.unlock()
        if taken.isEmpty { return }
        for job in taken { job() }
        taken.removeAll(keepingCapacity: true)
      }
    }
  }

  /// Something that one thread gives up and another takes: what is inside was made for this, or is opened on the
  /// core loop only.
  /// @unchecked Sendable: there is one of each, nothing else refers to what is inside while it is under way, and
  /// the workers' locks and the loop's queue order the two sides.
  struct Handover<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
  }
#endif
