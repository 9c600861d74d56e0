/// Filters, dead letters and declarations that a script decides. Knows no file: a plugin gives it an
/// interpreter.

internal import AMQPWire
internal import BrokerCore
internal import LuaRuntime

final class ScriptedFilter: MessageFilter {
  let name: String
  let order: Double
  private let plugin: Plugin
  private let stage: FilterStageName
  private let manifest: FilterManifest
  private let hook: LuaHook
  private let meter: HookMeter
  private let view = MessageView()

  /// - Throws: if the script has no such filter
  init(_ plugin: Plugin, _ stage: FilterStageName, _ manifest: FilterManifest) throws(LuaError) {
    self.plugin = plugin
    self.stage = stage
    self.manifest = manifest
    name = plugin.name
    order = manifest.order
    let path = "filters.\(stage.rawValue)"
    guard let hook = try plugin.lua.hook("\(path).run") else {
      throw LuaError(.refused, "\(path).run is missing")
    }
    self.hook = hook
    meter = plugin.meter(path)
  }

  func isFor(vhost: ByteString, name: ByteString) -> Bool {
    Glob.any(of: manifest.vhosts, matches: vhost) && Glob.any(of: manifest.names, matches: name)
  }

  // hot:
  func run(_ message: Message, _ context: FilterContext) -> FilterVerdict {
    view.show(message, context)
    let verdict: LuaVerdict
    do throws(LuaError) {
      verdict = try plugin.run(meter, publishing: message, in: context.vhost) { () throws(LuaError) in
        try hook.run(view.lua, budget: plugin.routeBudget)
      }
    } catch {
      return failed(error, message)
    }
    switch verdict {
    case .none, .allow: return .pass
    case .deny(let reason): return .denied(String(decoding: reason.buffer, as: UTF8.self))
    case .drop(let reason): return .dropped(String(decoding: reason.buffer, as: UTF8.self))
    case .delay(let milliseconds, let change):
      do throws(ProtocolError) {
        return .delayed(milliseconds: milliseconds, as: try change.applied(to: message))
      } catch {
        return failed(LuaError(.runtime, error.text), message)
      }
    case .throttle(let milliseconds):
      guard stage != .deliver else {
        return failed(LuaError(.runtime, "throttle is no verdict for deliver: nobody publishes"), message)
      }
      return .throttled(milliseconds: milliseconds)
    case .change(let content):
      do throws(ProtocolError) {
        return try content.applied(to: message).map { .changed($0) } ?? .pass
      } catch {
        return failed(LuaError(.runtime, error.text), message)
      }
    }
  }

  private func failed(_ error: LuaError, _ message: Message) -> FilterVerdict {
    plugin.report(error, "filters.\(stage.rawValue)", on: message)
    if plugin.manifest.onError.filter(stage) == .pass { return .pass }
    return .failed("filter '\(name)' failed: \(error.message)")
  }
}

extension LuaBytes {
  /// The message with these fields of `change{…}` or `delay(ms, {…})`; nil if there are none.
  /// - Throws: 406 that names the field that is wrong
  func applied(to message: Message) throws(ProtocolError) -> Message? {
    guard count > 0 else { return nil }
    let changed = try MessageChange(try FieldReader.fields(of: buffer)).applied(to: message)
    changed.header.extraKeys = message.header.extraKeys
    return changed
  }
}

/// Names with `*` (any octets) and `?` (one octet).
enum Glob {
  /// - Parameter patterns: nil matches everything
  static func any(of patterns: [String]?, matches name: ByteString) -> Bool {
    patterns?.contains { matches(Array($0.utf8), name.bytes) } ?? true
  }

  /// One step back at most to the last `*`: no pattern takes longer than pattern times name.
  static func matches(_ pattern: [UInt8], _ name: [UInt8]) -> Bool {
    var (p, n) = (0, 0)
    var star: (p: Int, n: Int)?
    while n < name.count {
      if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
        star = (p, n)
        p += 1
      } else if p < pattern.count, pattern[p] == UInt8(ascii: "?") || pattern[p] == name[n] {
        p += 1
        n += 1
      } else if let last = star {
        star = (last.p, last.n + 1)
        p = last.p + 1
        n = last.n + 1
      } else {
        return false
      }
    }
    return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}

final class ScriptedDeadLetterPolicy: DeadLetterPolicy {
  private let plugin: Plugin
  private let hook: LuaHook
  private let meter: HookMeter
  private let view = MessageView()

  init(_ plugin: Plugin) throws(LuaError) {
    self.plugin = plugin
    guard let hook = try plugin.lua.hook("dead_letter") else {
      throw LuaError(.refused, "dead_letter is missing")
    }
    self.hook = hook
    meter = plugin.meter("dead_letter")
  }

  func dies(_ message: Message, _ death: Death, _ context: FilterContext) -> DeathAnswer {
    view.show(message, context)
    let fields: FieldTable = [
      "queue": .string(context.queue?.name ?? ""), "reason": .string(ByteString(death.reason.rawValue)),
      "count": .int64(death.count),
    ]
    do throws(LuaError) {
      let verdict = try plugin.run(meter, publishing: message, in: context.vhost) { () throws(LuaError) in
        try hook.run(view.lua, second: fields.content, budget: plugin.routeBudget)
      }
      switch verdict {
      case .none, .allow: return .pass
      case .drop(let reason): return .dropped(String(decoding: reason.buffer, as: UTF8.self))
      case .delay(let milliseconds, let change):
        do throws(ProtocolError) {
          return .delayed(milliseconds: milliseconds, as: try change.applied(to: message))
        } catch {
          throw LuaError(.runtime, error.text)
        }
      case .deny, .change, .throttle:
        throw LuaError(.runtime, "dead_letter returned a verdict that is neither delay nor drop")
      }
    } catch {
      plugin.report(error, "dead_letter", on: message)
      return .pass
    }
  }
}

final class ScriptedDeclarePolicy: DeclarePolicy {
  private let plugin: Plugin
  private let meter: HookMeter

  init(_ plugin: Plugin) {
    self.plugin = plugin
    meter = plugin.meter("declare")
  }

  func exchangeDeclared(_ definition: ExchangeDefinition, in vhost: ByteString, by identity: Identity)
    -> DeclareAnswer
  {
    let fields: [String: LuaValue] = [
      "type": LuaValue(definition.type), "durable": .boolean(definition.durable),
      "auto_delete": .boolean(definition.autoDelete), "internal": .boolean(definition.isInternal),
    ]
    return ask("exchange", definition.name, definition.arguments, fields, vhost, identity)
  }

  func queueDeclared(_ definition: QueueDefinition, in vhost: ByteString, by identity: Identity)
    -> DeclareAnswer
  {
    let fields: [String: LuaValue] = [
      "durable": .boolean(definition.durable), "auto_delete": .boolean(definition.autoDelete),
      "exclusive": .boolean(definition.owner != nil),
    ]
    return ask("queue", definition.name, definition.arguments, fields, vhost, identity)
  }

  private func ask(
    _ kind: String, _ name: ByteString, _ arguments: FieldTable, _ more: [String: LuaValue],
    _ vhost: ByteString, _ identity: Identity
  ) -> DeclareAnswer {
    var definition = more
    definition["name"] = LuaValue(name)
    definition["vhost"] = LuaValue(vhost)
    definition["arguments"] = LuaValue(arguments)
    definition["user"] = .text(identity.name)
    definition["identity"] = identity.attributes.isEmpty ? nil : LuaValue(identity.attributes)
    do throws(LuaError) {
      let answer = try plugin.run(meter) { () throws(LuaError) in
        try plugin.lua.call("declare", [.text(kind), .table(definition)], budget: plugin.hookBudget)
      }
      return try Self.verdict(answer)
    } catch {
      plugin.report(error, "declaration of \(kind) '\(name)'")
      if plugin.manifest.onError.declare == .pass { return .pass }
      return .denied("plugin '\(plugin.name)' failed: \(error.message)")
    }
  }

  private static func verdict(_ answer: LuaValue) throws(LuaError) -> DeclareAnswer {
    switch answer["verdict"]?.text {
    case nil where answer == .null: return .pass
    case "allow"?: return .pass
    case "deny"?: return .denied(answer["reason"]?.text ?? "")
    case "change"?:
      guard case .table(let arguments)? = answer["arguments"] else {
        throw LuaError(.runtime, "declare returned change{} without a table of arguments")
      }
      return .changed(FieldTable(arguments))
    default:
      throw LuaError(.runtime, "declare returned what is neither nothing, allow, deny nor change")
    }
  }
}
