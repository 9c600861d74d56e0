/// Header matchers: a plugin's, and expressions that stand in the bindings themselves. Knows no exchange.

internal import AMQPWire
internal import BrokerCore
internal import LuaRuntime

final class ScriptedMatcher: HeaderMatcher {
  private let plugin: Plugin
  private let matcher: LuaMatcher
  private let meter: HookMeter
  private let view = MessageView()

  /// For a binding that the script has accepted already.
  init(_ plugin: Plugin, _ matcher: LuaMatcher) {
    self.plugin = plugin
    self.matcher = matcher
    meter = plugin.meter("matcher")
  }

  /// - Throws: 406 with the script's text if it refuses the arguments
  init(_ plugin: Plugin, _ arguments: FieldTable) throws(ProtocolError) {
    self.plugin = plugin
    meter = plugin.meter("matcher")
    do throws(LuaError) {
      matcher = try plugin.run(plugin.meter("matcher.bind")) { () throws(LuaError) in
        try plugin.lua.matcher(arguments.content)
      }
    } catch {
      throw plugin.refusal(of: "binding", error, as: "matcher")
    }
  }

  // hot:
  func matches(_ message: Message) -> Bool {
    view.show(message, key: message.routingKey)
    do throws(LuaError) {
      return try plugin.run(meter) { () throws(LuaError) in try matcher.matches(view.lua) }
    } catch {
      plugin.report(error, "matcher", on: message)
      return false
    }
  }
}

/// `x-match = "lua"`: the expression stands in the binding.
final class Expressions {
  static let matcherName: ByteString = "lua"
  private let lua: LuaExpressions
  private let isAllowed: Bool

  /// Nil when the memory limit does not even hold the libraries.
  init?(_ options: PluginOptions) {
    guard let lua = LuaExpressions(limits: options.limits) else { return nil }
    self.lua = lua
    isAllowed = options.clientExpressions
  }

  /// - Throws: 406 with line and reason
  func matcher(_ arguments: FieldTable) throws(ProtocolError) -> any HeaderMatcher {
    guard isAllowed else {
      throw ProtocolError(
        .preconditionFailed,
        "x-match 'lua' is not allowed: the operator has not set client_expressions in [scripting]")
    }
    guard let text = arguments["x-lua"]?.string else {
      throw ProtocolError(.preconditionFailed, "x-match 'lua' needs an expression in x-lua, as a longstr")
    }
    do throws(LuaError) {
      return ExpressionMatcher(try lua.compile(text.text))
    } catch {
      throw ProtocolError(.preconditionFailed, "invalid x-lua expression: \(error.message)")
    }
  }
}

private final class ExpressionMatcher: HeaderMatcher {
  private let expression: LuaExpression
  private let view = MessageView()

  init(_ expression: LuaExpression) { self.expression = expression }

  /// An expression that fails, most often because a header is missing, does not match.
  func matches(_ message: Message) -> Bool {
    view.show(message, key: message.routingKey)
    return (try? expression.matches(view.lua)) ?? false
  }
}
