/// From a request to its route: paths, methods, logins, and what is said when something is wrong with them.
/// Knows no route.

internal import AMQPWire
internal import BrokerCore
internal import BrokerScripting
internal import Foundation
internal import Hummingbird
internal import Logging
internal import LuaRuntime
internal import NIOCore

/// A request's surroundings: who sent it.
struct ManagementContext: RequestContext {
  var coreContext: CoreRequestContextStorage
  let peer: SocketAddress?

  init(source: ApplicationRequestContextSource) {
    coreContext = CoreRequestContextStorage(source: source)
    peer = source.channel.remoteAddress
  }

  var isLoopback: Bool {
    guard let peer else { return false }
    guard let address = peer.ipAddress else { return true }  // a Unix socket
    return address.hasPrefix("127.") || address == "::1" || address.hasPrefix("::ffff:127.")
  }
}

/// What a user's tags let it do, as in RabbitMQ: an administrator everything, all others read what is theirs.
enum Role: String, Sendable {
  /// Whoever may log in.
  case user
  case management
  case policymaker
  case monitor = "monitoring"
  case administrator

  func isHad(by tags: [String]) -> Bool {
    if self == .user || tags.contains("administrator") || tags.contains(rawValue) { return true }
    return self == .management && (tags.contains("policymaker") || tags.contains("monitoring"))
  }

  var refusal: Refusal { .notAuthorized(self == .monitor ? "Not monitor user" : "Not \(rawValue) user") }
}

/// One path and method, and what is done.
struct Route: Sendable {
  /// "/api/plugins/:name"; a name is any one segment.
  let path: [String]
  let method: HTTPRequest.Method
  /// Nil: no login is needed.
  let role: Role?
  let run: @Sendable (Call) async throws -> Response

  init(
    _ method: HTTPRequest.Method, _ path: String, for role: Role? = .administrator,
    run: @escaping @Sendable (Call) async throws -> Response
  ) {
    self.method = method
    self.path = path.split(separator: "/").map(String.init)
    self.role = role
    self.run = run
  }

  /// - Returns: the segments that are names, or nil if the path is another
  func names(in segments: [String]) -> [String]? {
    guard segments.count == path.count else { return nil }
    var names: [String] = []
    for (segment, own) in zip(segments, path) {
      if own.hasPrefix(":") { names.append(segment) } else if own != segment { return nil }
    }
    return names
  }
}

/// A request that has found its route.
struct Call: Sendable {
  /// Of the path's segments that are names, in order.
  let names: [String]
  let query: [String: String]
  let body: ByteBuffer
  /// Nobody, where no login is needed.
  let login: Management.Login
}

/// What is said instead of an answer, as RabbitMQ says it: `{"error": …, "reason": …}`. Shadows the core's, which is
/// turned into one.
struct Refusal: Error {
  var status: HTTPResponse.Status
  var error: String
  var reason: String
  var headers: HTTPFields = [:]

  init(status: HTTPResponse.Status, error: String, reason: String, headers: HTTPFields = [:]) {
    self.status = status
    self.error = error
    self.reason = reason
    self.headers = headers
  }

  static func badRequest(_ reason: String) -> Refusal {
    Refusal(status: .badRequest, error: "bad_request", reason: reason)
  }

  static func notFound(_ reason: String = "Not Found") -> Refusal {
    Refusal(status: .notFound, error: "Object Not Found", reason: reason)
  }

  static func notAuthorized(_ reason: String) -> Refusal {
    Refusal(
      status: .unauthorized, error: "not_authorized", reason: reason,
      headers: [.wwwAuthenticate: "Basic realm=\"RabbitMQ Management\""])
  }

  init(_ refusal: BrokerCore.Refusal) {
    switch refusal.kind {
    case .missing: self = .notFound()
    case .exists, .invalid: self = .badRequest(refusal.text)
    }
  }

  /// As AMQP would have refused it.
  init(_ error: ProtocolError) {
    switch error.code {
    case .notFound: self = .notFound(error.text)
    case .accessRefused, .notAllowed: self = .notAuthorized(error.replyText.text)
    default: self = .badRequest("\(error.code.rawValue) \(error.replyText.text)")
    }
  }

  var response: Response {
    var response = Response.json(.table(["error": .text(error), "reason": .text(reason)]), status: status)
    for field in headers { response.headers.append(field) }
    return response
  }
}

extension Response {
  static func json(_ value: LuaValue, status: HTTPResponse.Status = .ok) -> Response {
    var text = JSON.text(value)
    text.append(UInt8(ascii: "\n"))
    return Response(
      status: status, headers: [.contentType: "application/json", .cacheControl: "no-cache"],
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: text)))
  }
}

struct ManagementResponder: HTTPResponder {
  let routes: [Route]
  let authenticate: Management.Authenticate
  /// Behind a socket whose file only the broker's owner can open: who comes without credentials is the operator.
  var isLocal = false
  let logger: Logger

  func respond(to request: Request, context: ManagementContext) async throws -> Response {
    do {
      let response = try await answer(request, context)
      return request.method == .head ? response.createHeadResponse() : response
    } catch let refusal as Refusal {
      return refusal.response
    } catch let refusal as BrokerCore.Refusal {
      return Refusal(refusal).response
    } catch let error as ProtocolError {
      return Refusal(error).response
    } catch let error as PluginControlError {
      return Refusal.notFound(error.description).response
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      logger.error("HTTP \(request.method) \(request.uri.path): \(error)")
      let reason = "the log says why"
      return Refusal(status: .internalServerError, error: "internal_error", reason: reason).response
    }
  }

  private func answer(_ request: Request, _ context: ManagementContext) async throws -> Response {
    let segments = try Self.segments(of: request.uri.path)
    let (route, names) = try route(segments, request.method)
    var login = Management.Login.nobody
    if let role = route.role { login = try await self.login(request, context, role) }
    let call = Call(
      names: names, query: Self.query(of: request), body: try await Self.body(of: request), login: login)
    return try await route.run(call)
  }

  /// A path's own words come before names: `/api/plugins/reload` is no plugin.
  private func route(_ segments: [String], _ method: HTTPRequest.Method) throws -> (Route, [String]) {
    let fitting = routes.compactMap { route in route.names(in: segments).map { (route, $0) } }
    guard let fewest = fitting.map(\.1.count).min() else { throw Refusal.notFound() }
    let own = fitting.filter { $0.1.count == fewest }
    let asked = method == .head ? .get : method
    if let found = own.first(where: { $0.0.method == asked }) { return found }
    var methods = own.map(\.0.method.rawValue)
    if methods.contains("GET") { methods.append("HEAD") }
    let allowed = methods.joined(separator: ", ")
    throw Refusal(
      status: .methodNotAllowed, error: "method_not_allowed",
      reason: "\(method.rawValue) is not for this path, expected \(allowed)", headers: [.allow: allowed])
  }

  private static func segments(of path: String) throws -> [String] {
    try path.split(separator: "/").map { segment in
      guard let plain = segment.removingPercentEncoding else {
        throw Refusal.badRequest("path: '\(segment.prefix(100))' is no percent-encoded UTF-8")
      }
      return plain
    }
  }

  /// Of a parameter that comes twice the first counts.
  private static func query(of request: Request) -> [String: String] {
    var query: [String: String] = [:]
    for (name, value) in request.uri.queryParameters where query[String(name)] == nil {
      query[String(name)] = String(value)
    }
    return query
  }

  private func login(_ request: Request, _ context: ManagementContext, _ role: Role) async throws
    -> Management.Login
  {
    if isLocal, request.headers[.authorization] == nil { return .operator }
    guard let (user, password) = Self.credentials(in: request.headers[.authorization]) else {
      throw Refusal.notAuthorized("Not_Authorized")
    }
    guard let login = await authenticate(user, password, context.isLoopback) else {
      throw Refusal.notAuthorized("Login failed")
    }
    guard role.isHad(by: login.tags) else { throw role.refusal }
    return login
  }

  /// HTTP Basic (RFC 7617); UTF-8.
  static func credentials(in header: String?) -> (user: String, password: String)? {
    guard let header else { return nil }
    let parts = header.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "basic",
      let octets = Data(base64Encoded: String(parts[1].trimmingPrefix(while: { $0 == " " }))),
      let text = String(validating: octets, as: UTF8.self), let colon = text.firstIndex(of: ":")
    else { return nil }
    let user = text[..<colon]
    guard user.utf8.count <= ManagementBounds.nameOctets else { return nil }
    return (String(user), String(text[text.index(after: colon)...]))
  }

  private static func body(of request: Request) async throws -> ByteBuffer {
    let most = ManagementBounds.bodyOctets
    let refusal = Refusal(
      status: .contentTooLarge, error: "bad_request", reason: "body: expected at most \(most) octets")
    // Before the body comes, if its size is told.
    if let told = request.headers[.contentLength].flatMap({ Int($0) }), told > most { throw refusal }
    do { return try await request.body.collect(upTo: most) } catch is NIOTooManyBytesError {
      throw refusal
    } catch {
      throw Refusal.badRequest("body: it ends early, or its transfer coding is wrong")
    }
  }
}
