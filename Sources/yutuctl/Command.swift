/// A command: what it is called, what it takes, and what it does. Knows no socket.
struct Command: Sendable {
  enum Group: String, CaseIterable, Sendable {
    case users = "Users"
    case access = "Access control"
    case vhosts = "Virtual hosts"
    case policies = "Policies"
    case objects = "Queues, exchanges, connections"
    case node = "Node"
    case definitions = "Definitions"
    case plugins = "Plugins"
  }

  let name: String
  let group: Group
  /// What stands behind the name: `user conf write read`, `[column …]`.
  let takes: String
  let about: String
  let example: String
  /// How many words it takes.
  let words: ClosedRange<Int>
  let run: @Sendable (Call) async throws -> Void

  init(
    _ name: String, in group: Group, _ takes: String = "", words: ClosedRange<Int>, _ about: String,
    example: String, run: @escaping @Sendable (Call) async throws -> Void
  ) {
    self.name = name
    self.group = group
    self.takes = takes
    self.words = words
    self.about = about
    self.example = example
    self.run = run
  }

  static let all: [Command] =
    users + access + virtualHosts + policies + objects + node + definitions + plugins

  static func named(_ name: String) -> Command? { all.first { $0.name == name } }
}

/// A command as it was called.
struct Call: Sendable {
  let broker: Broker
  let output: Output
  let words: [String]
  let options: Options

  var vhost: String { options.vhost }

  /// A password that is not on the command line is read, so that no list of processes shows it.
  func secret(at index: Int) throws -> String {
    if words.count > index { return words[index] }
    guard let line = readLine(), !line.isEmpty else {
      throw Failure(.software, "Password is not provided via argument or stdin")
    }
    return line
  }

  /// Columns that were asked for, or these.
  func columns(_ standard: [String]) -> [String] { words.isEmpty ? standard : words }

  /// A list that is empty where its virtual host is not there, as with rabbitmqctl.
  func list(_ path: String...) async throws -> [JSON] {
    do { return try await broker.ask(.get, path).items } catch let refused as Broker.Refused
      where refused.status == 404
    { return [] }
  }

  @discardableResult
  func ask(_ verb: Broker.Verb, _ path: String..., query: String = "", body: JSON? = nil) async throws -> JSON
  {
    try await broker.ask(verb, path, query: query, body: body)
  }
}

/// What may stand anywhere on the line.
struct Options: Sendable {
  var vhost = "/"
  var dataDirectory: String?
  var url: String?
  var priority: Int64 = 0
  var target = "all"
  var isGlobal = false
  var ifEmpty = false
  var ifUnused = false
  var limit: Int?
  var user: String?
  var description: String?
  var tags: String?
  var defaultQueueType: String?
}
