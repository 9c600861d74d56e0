import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat

/// The broker that a command is for: its HTTP API, through the socket in its data directory or by a URL. Knows no
/// command.
struct Broker: Sendable {
  /// "http+unix://…" or "http://host:port".
  private let base: String
  private let credentials: String?
  /// For messages.
  let place: String

  /// - Parameters:
  ///   - url: http://user:password@host:port; nil: the socket in the data directory
  init(url: String?, dataDirectory: String?) throws {
    guard let url else {
      let folder = dataDirectory ?? Self.standardDirectory
      let socket = "\(folder)/yutu.sock"
      base = "http+unix://\(Self.quoted(socket))"
      credentials = nil
      place = socket
      return
    }
    guard let parts = URLComponents(string: url), let host = parts.host, parts.scheme == "http" else {
      throw Failure(.usage, "--url \(url): expected http://user:password@host:port")
    }
    base = "http://\(host):\(parts.port ?? 15_672)"
    let user = parts.user ?? "guest"
    credentials = "\(user):\(parts.password ?? "guest")"
    place = base
  }

  /// Lives as long as the process. A broker that is not there is told of at once.
  private static let client: HTTPClient = {
    var configuration = HTTPClient.Configuration()
    configuration.connectionPool.retryConnectionEstablishment = false
    return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }()

  private static var standardDirectory: String {
    let environment = ProcessInfo.processInfo.environment
    if let folder = environment["YUTU_DATA_DIR"], !folder.isEmpty { return folder }
    if let home = environment["XDG_DATA_HOME"], home.hasPrefix("/") { return home + "/yutu" }
    return FileManager.default.homeDirectoryForCurrentUser.path + "/.local/share/yutu"
  }

  /// A name as one segment of a path.
  static func quoted(_ name: String) -> String {
    var plain = CharacterSet()
    plain.insert(charactersIn: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    return name.addingPercentEncoding(withAllowedCharacters: plain) ?? name
  }

  enum Verb: String {
    case get = "GET"
    case put = "PUT"
    case post = "POST"
    case delete = "DELETE"
  }

  /// - Parameter path: its names are quoted
  /// - Throws: what the broker says
  @discardableResult
  func ask(
    _ verb: Verb, _ path: [String], query: String = "", body: JSON? = nil, as login: String? = nil
  ) async throws -> JSON {
    let (status, answer) = try await call(verb, path, query: query, body: body, as: login)
    switch status {
    case 200..<300: return answer.isEmpty ? .null : try JSON(parsing: answer, "the answer")
    default:
      let said = try? JSON(parsing: answer, "the answer")
      let reason = said?["reason"]?.text ?? "HTTP status \(status)"
      throw Refused(status: status, reason: reason)
    }
  }

  /// What the broker does not do.
  struct Refused: Error {
    let status: Int
    let reason: String
  }

  private func call(_ verb: Verb, _ path: [String], query: String, body: JSON?, as login: String?)
    async throws -> (Int, Data)
  {
    var request = HTTPClientRequest(
      url: base + "/api/" + path.map(Self.quoted).joined(separator: "/") + (query.isEmpty ? "" : "?" + query))
    request.method = .init(rawValue: verb.rawValue)
    if let login = login ?? credentials {
      request.headers.add(name: "authorization", value: "Basic " + Data(login.utf8).base64EncodedString())
    }
    if let body {
      request.headers.add(name: "content-type", value: "application/json")
      request.body = .bytes(body.encoded())
    }
    do {
      let response = try await Self.client.execute(request, timeout: .seconds(60))
      let octets = try await response.body.collect(upTo: 1 << 30)
      return (Int(response.status.code), Data(buffer: octets))
    } catch {
      throw Failure(
        .unavailable,
        "unable to reach the broker at \(place). Does it run, and is that its data directory? (\(error))")
    }
  }
}
