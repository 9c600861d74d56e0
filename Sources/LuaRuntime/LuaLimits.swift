/// What a script may use up. The defaults are the design's; their sizes stand here and nowhere else.

internal import CLuaGuard

package struct LuaLimits: Sendable, Equatable {
  package var memoryBytes = 64 << 20
  /// One instruction can read a whole string: a longer one could not be interrupted.
  package var stringBytes = 16 << 20
  package var seed: UInt64

  package init(
    memoryBytes: Int = 64 << 20, stringBytes: Int = 16 << 20, seed: UInt64 = .random(in: 0 ... .max)
  ) {
    self.memoryBytes = memoryBytes
    self.stringBytes = stringBytes
    self.seed = seed
  }

  var guardLimits: LGLimits {
    LGLimits(memory_bytes: max(0, memoryBytes), string_bytes: max(0, stringBytes), seed: seed)
  }
}

/// The allowance of one call. Time is CPU time of the calling thread, so that a preempted broker blames
/// nobody.
package struct LuaBudget: Sendable, Equatable {
  package var instructions: UInt64
  package var nanoseconds: UInt64

  package init(instructions: UInt64, nanoseconds: UInt64) {
    self.instructions = instructions
    self.nanoseconds = nanoseconds
  }

  package static let route = LuaBudget(instructions: 200_000, nanoseconds: 1_000_000)
  package static let hook = LuaBudget(instructions: 2_000_000, nanoseconds: 10_000_000)
  /// Evaluating a file, and running its tests: off the core loop.
  package static let load = LuaBudget(instructions: 100_000_000, nanoseconds: 1_000_000_000)

  var guardBudget: LGBudget { LGBudget(instructions: instructions, nanoseconds: nanoseconds) }
}
