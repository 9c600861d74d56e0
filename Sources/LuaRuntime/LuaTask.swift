/// Hooks that may wait for something: `authenticate`, `authorize`, events and timers.

internal import CLuaGuard

/// What a hook returned, in values that outlive the next call.
package struct LuaAnswer: Equatable, Sendable {
  /// `allow`, `deny`, …; nil when it returned nothing, or what is no verdict.
  package var verdict: String?
  /// The verdict's other fields, as `reason`; or what else it returned.
  package var fields: LuaValue

  package init(verdict: String?, fields: LuaValue) {
    self.verdict = verdict
    self.fields = fields
  }

  fileprivate init(_ value: LuaValue, isVerdict: Bool) {
    fields = value
    guard isVerdict, case .table(var rest) = value else { return }
    guard case .text(let name)? = rest.removeValue(forKey: "verdict") else { return }
    verdict = name
    fields = .table(rest)
  }
}

package enum LuaProgress {
  case finished(LuaAnswer)
  /// request: a list of what it waits for and with which argument, as `["sleep", 1.5]`.
  case waiting(LuaTask, request: LuaValue)
}

extension LuaInterpreter {
  /// Starts the function at a dotted path of the plugin's table; `.refused` when there is none.
  package func start(_ function: String, _ arguments: [LuaValue] = [], budget: LuaBudget = .hook)
    throws(LuaError) -> LuaProgress
  {
    var progress = LGProgress()
    try check(
      withBytes(function) { path in
        withBytes(LuaValueCodec.arrayContent(arguments)) {
          lg_task_start(interpreter, path, $0, budget.guardBudget, &progress)
        }
      })
    return LuaProgress(progress, progress.task.map { LuaTask(self, $0) })
  }
}

extension LuaProgress {
  fileprivate init(_ progress: LGProgress, _ task: LuaTask?) {
    let value = LuaValueCodec.value(progress.value.buffer) ?? .null
    if progress.waits, let task {
      self = .waiting(task, request: value)
    } else {
      self = .finished(LuaAnswer(value, isVerdict: progress.is_verdict))
    }
  }
}

/// A hook that waits. It keeps its interpreter, so that it can finish in an old one after a reload.
package final class LuaTask {
  private let interpreter: LuaInterpreter
  private let task: OpaquePointer

  fileprivate init(_ interpreter: LuaInterpreter, _ task: OpaquePointer) {
    self.interpreter = interpreter
    self.task = task
  }

  deinit { lg_task_close(task) }

  /// response: a list of what the wait gives back, null for nil; what is no list is the only result.
  /// The progress is this task again while it waits.
  /// - Throws: `.refused` when it is over
  package func resume(with response: LuaValue, budget: LuaBudget = .hook) throws(LuaError) -> LuaProgress {
    guard case .list(let results) = response else { return try turn([response], fails: false, budget) }
    return try turn(results, fails: false, budget)
  }

  /// The wait raises an error.
  package func resume(failing text: String, budget: LuaBudget = .hook) throws(LuaError) -> LuaProgress {
    try turn([.text(text)], fails: true, budget)
  }

  private func turn(_ values: [LuaValue], fails: Bool, _ budget: LuaBudget) throws(LuaError) -> LuaProgress {
    var progress = LGProgress()
    try interpreter.check(
      withBytes(LuaValueCodec.arrayContent(values)) {
        lg_task_resume(task, $0, fails, budget.guardBudget, &progress)
      })
    return LuaProgress(progress, self)
  }

  /// It is over; to do so twice does no harm.
  package func cancel() { lg_task_cancel(task) }
}
