/// Who may log in, and who may do what, as scripts decide it. Knows no connection.

internal import AMQPWire
internal import BrokerCore
internal import LuaRuntime

final class ScriptedAuthenticator: Authenticator {
  var name: String { plugin.name }
  private let plugin: Plugin
  private let place: HookPlace
  private let meter: HookMeter

  init(_ plugin: Plugin, _ place: HookPlace) {
    self.plugin = plugin
    self.place = place
    meter = plugin.meter("authenticate")
  }

  func authenticate(_ login: LoginRequest) -> Answer<LoginAnswer> {
    let pending = Pending<LoginAnswer>()
    HookRun(plugin, "authenticate", [login.value], meter, place) { [plugin] result in
      pending.answer(plugin.loginAnswer(result, login, "authenticate"))
    }
    return pending.answer
  }
}

final class ScriptedMechanism: SaslMechanism {
  private let plugin: Plugin
  private let mechanism: String
  private let place: HookPlace

  init(_ plugin: Plugin, _ mechanism: String, _ place: HookPlace) {
    self.plugin = plugin
    self.mechanism = mechanism
    self.place = place
  }

  func begin(_ login: LoginRequest) -> any SaslConversation {
    ScriptedConversation(plugin, mechanism, place, login)
  }
}

private final class ScriptedConversation: SaslConversation {
  private let plugin: Plugin
  private let mechanism: String
  private let place: HookPlace
  private let login: LoginRequest
  private var run: HookRun?
  private var pending: Pending<SaslStep>?

  init(_ plugin: Plugin, _ mechanism: String, _ place: HookPlace, _ login: LoginRequest) {
    self.plugin = plugin
    self.mechanism = mechanism
    self.place = place
    self.login = login
  }

  func step(_ response: ByteString?) -> Answer<SaslStep> {
    let pending = Pending<SaslStep>()
    self.pending = pending
    if let run {
      run.resume([LuaValue(response ?? "")])
    } else {
      let hook = "sasl.\(mechanism)"
      run = HookRun(
        plugin, hook, [login.value], plugin.meter(hook), place,
        challenged: { [weak self] text in self?.answer(.challenge(text)) },
        done: { [weak self] result in
          guard let self else { return }
          answer(.done(plugin.loginAnswer(result, login, hook)))
        })
    }
    return pending.answer
  }

  private func answer(_ step: SaslStep) {
    let waiting = pending
    pending = nil
    waiting?.answer(step)
  }

  func abandon() { run?.abandon() }
}

final class ScriptedAuthorizer: Authorizer {
  private let plugin: Plugin
  private let place: HookPlace
  private let meter: HookMeter

  init(_ plugin: Plugin, _ place: HookPlace) {
    self.plugin = plugin
    self.place = place
    meter = plugin.meter("authorize")
  }

  func authorize(_ request: BrokerCore.AccessRequest, _ identity: Identity, _ peer: PeerAddress) -> Answer<
    AccessAnswer
  > {
    var fields: [String: LuaValue] = [
      "user": .text(identity.name), "tags": .list(identity.tags.map { .text($0) }), "peer": peer.value,
      "vhost": LuaValue(request.vhost), "operation": .text(request.operation.rawValue),
      "resource": .text(request.resource.rawValue), "name": LuaValue(request.name),
    ]
    if !identity.attributes.isEmpty { fields["identity"] = LuaValue(identity.attributes) }
    if let key = request.routingKey { fields["routing_key"] = LuaValue(key) }
    let pending = Pending<AccessAnswer>()
    HookRun(plugin, "authorize", [.table(fields)], meter, place) { [plugin] result in
      pending.answer(
        plugin.accessAnswer(result, "\(request.operation) of \(request.resource) '\(request.name)'"))
    }
    return pending.answer
  }
}

extension Plugin {
  fileprivate func accessAnswer(_ result: Result<LuaAnswer, LuaError>, _ cause: String) -> AccessAnswer {
    do throws(LuaError) {
      let answer = try result.get()
      switch answer.verdict {
      case nil where answer.fields == .null: return .unknown
      case "allow"?: return .allowed
      case "deny"?: return .denied(answer.fields["reason"]?.text ?? "")
      default: throw LuaError(.runtime, "authorize returned what is neither nothing, allow nor deny")
      }
    } catch {
      report(error, cause)
      return manifest.onError.authorize == .allow ? .unknown : .denied("plugin '\(name)' failed")
    }
  }

  fileprivate func loginAnswer(
    _ result: Result<LuaAnswer, LuaError>, _ login: LoginRequest, _ hook: String
  ) -> LoginAnswer {
    do throws(LuaError) {
      let answer = try result.get()
      switch answer.verdict {
      case nil where answer.fields == .null: return .unknown
      case "allow"?: return .allowed(try Identity(answer.fields, login))
      case "deny"?: return .denied(answer.fields["reason"]?.text ?? "")
      default: throw LuaError(.runtime, "\(hook) returned what is neither nothing, allow nor deny")
      }
    } catch {
      report(error, "login of '\(login.user?.text ?? "")'")
      return manifest.onError.authenticate == .allow ? .unknown : .denied("plugin '\(name)' failed")
    }
  }
}

extension Identity {
  /// What `allow{…}` says of a user.
  fileprivate convenience init(_ answer: LuaValue, _ login: LoginRequest) throws(LuaError) {
    guard let name = answer["user"]?.text ?? login.user?.text else {
      throw LuaError(.runtime, "allow{} needs a user: the mechanism \(login.mechanism) names none")
    }
    guard name.utf8.count <= 255 else { throw LuaError(.runtime, "allow{user} is longer than 255 bytes") }
    var tags: [String] = []
    switch answer["tags"] {
    case nil, .null?: break
    case .list(let list)?:
      for tag in list {
        guard let tag = tag.text else { throw LuaError(.runtime, "allow{tags} must be a list of strings") }
        tags.append(tag)
      }
    case .table(let table)? where table.isEmpty: break
    default: throw LuaError(.runtime, "allow{tags} must be a list of strings")
    }
    var attributes = FieldTable()
    if case .table(let fields)? = answer["as"] { attributes = FieldTable(fields) }
    self.init(
      name: name, tags: tags, attributes: attributes, rights: try Self.rights(answer["permissions"])
    )
  }

  private static func rights(_ value: LuaValue?) throws(LuaError) -> Identity.Rights {
    guard let value, value != .null else { return .everything }
    if value == LuaValue.list([]) { return .these([:]) }
    guard case .table(let vhosts) = value else {
      throw LuaError(.runtime, "allow{permissions} must be a table by vhost")
    }
    var permissions: [ByteString: Permissions] = [:]
    for (vhost, fields) in vhosts {
      guard case .table(let fields) = fields else {
        throw LuaError(.runtime, "allow{permissions} of vhost '\(vhost)' must be { configure, write, read }")
      }
      for (name, value) in fields where !["configure", "write", "read"].contains(name) || value.text == nil {
        throw LuaError(
          .runtime,
          "allow{permissions} of vhost '\(vhost)': '\(name)' must be configure, write or read, a string")
      }
      permissions[ByteString(vhost)] = Permissions(
        configure: fields["configure"]?.text ?? "", write: fields["write"]?.text ?? "",
        read: fields["read"]?.text ?? "")
    }
    return .these(permissions)
  }
}

extension LoginRequest {
  fileprivate var value: LuaValue {
    var fields: [String: LuaValue] = [
      "mechanism": .text(mechanism), "response": LuaValue(response), "peer": peer.value,
      "client": LuaValue(clientProperties),
    ]
    fields["user"] = user.map { LuaValue($0) }
    fields["password"] = password.map { LuaValue($0) }
    fields["tls"] = tls.map {
      .table(["subject": .text($0.subject), "names": .list($0.names.map { .text($0) })])
    }
    return .table(fields)
  }
}

extension PeerAddress {
  var value: LuaValue {
    .table(["address": .text(address), "port": .integer(Int64(port)), "loopback": .boolean(isLoopback)])
  }
}
