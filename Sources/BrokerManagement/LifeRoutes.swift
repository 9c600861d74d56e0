/// `/api/node`: the broker's own life, for its command line. Not of RabbitMQ's API. Knows no process.

internal import BrokerCore
internal import BrokerServer
internal import Hummingbird
internal import LuaRuntime

struct LifeRoutes: Sendable {
  let desk: Desk
  let environment: [String: LuaValue]
  /// Ends the process in order, soon.
  let stop: @Sendable () -> Void

  var routes: [Route] {
    [
      // Answers whoever may log in.
      Route(.get, "/api/auth/check", for: .user) { call in .json(.table(["name": .text(call.login.name)])) },
      Route(.get, "/api/node/environment") { _ in .json(.table(environment)) },
      Route(.post, "/api/node/stop") { _ in
        stop()
        return .done
      },
      Route(.post, "/api/node/app/stop") { _ in
        try await desk.server.suspend()
        return .done
      },
      Route(.post, "/api/node/app/start") { _ in
        do { try await desk.server.resume() } catch {
          throw Refusal.badRequest("clients cannot be let in again: \(error)")
        }
        return .done
      },
      Route(.post, "/api/node/reset") { _ in
        guard try await desk.server.listeners().isEmpty else {
          throw Refusal.badRequest("the broker serves clients: stop_app first")
        }
        try await desk.ask { try $0.reset() }
        return .done
      },
    ]
  }
}
