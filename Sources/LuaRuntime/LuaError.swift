/// What ended a call into a script. Knows no Lua type: the guard hands over texts.

internal import CLuaGuard

package struct LuaError: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Kind: Int32, Sendable {
    case syntax = 1
    case runtime
    case memory
    case instructions
    case time
    /// The script said `deny(text)`, or lacks what was asked for; `message` is the text.
    case refused
  }

  package var kind: Kind
  /// Begins with `file:line:` where a line is to blame.
  package var message: String
  package var traceback: String

  package init(_ kind: Kind, _ message: String, traceback: String = "") {
    self.kind = kind
    self.message = message
    self.traceback = traceback
  }

  package var description: String { message }

  package var isLimit: Bool { kind == .memory || kind == .instructions || kind == .time }

  init(_ error: UnsafePointer<LGError>) {
    kind = Kind(rawValue: error.pointee.kind) ?? .runtime
    message = LuaError.text(error, at: \.message)
    traceback = LuaError.text(error, at: \.traceback)
  }

  private static func text<Field>(_ error: UnsafePointer<LGError>, at field: KeyPath<LGError, Field>)
    -> String
  {
    withUnsafeBytes(of: error.pointee[keyPath: field]) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }
}
