/// A plugin's table: what is taken, and what is said of what is not.

import LuaRuntime
import Testing

@testable import BrokerScripting

@Suite struct `A manifest` {
  private func manifest(_ fields: String) throws -> Manifest {
    let lua = try #require(LuaInterpreter())
    return try Manifest(lua.evaluate("local f = function() end return { api = 1, \(fields) }", path: "x.lua"))
  }

  private func problem(_ fields: String) -> String {
    do {
      _ = try manifest(fields)
      return "accepted"
    } catch let error as LuaError { return error.message } catch { return "\(error)" }
  }

  @Test func `of nothing is of no hooks`() throws {
    let manifest = try manifest("")
    #expect(manifest.hooks.isEmpty)
    #expect(manifest.enabled)
    #expect(manifest.onError.authenticate == .deny)
    #expect(manifest.onError.filter(.deliver) == .refuse)
    #expect(manifest.limits.milliseconds == nil)
  }

  @Test func `knows every hook there is`() throws {
    let manifest = try manifest(
      """
      about = "all of it", enabled = false, on_error = { publish = "pass", authorize = "allow" },
      limits = { milliseconds = 0.5, instructions = 1000, memory = 2^20 },
      exchange = { validate = f, bind = f, prepare = f, route = f, pure = { "routing_key" } },
      matcher = { bind = f, match = f }, authenticate = f, authorize = f, declare = f, dead_letter = f,
      sasl = { ["X-TOKEN"] = f },
      filters = {
        publish = { match = { vhost = "/", exchange = { "a.*", "b" } }, order = -1.5, run = f },
        deliver = { match = { queue = "q?" }, run = f },
      },
      events = { queue_created = f, message_dropped = f }, timers = { { every = 60, run = f } },
      save = f, restore = f,
      """)
    #expect(
      manifest.hooks == [
        "exchange", "matcher", "authenticate", "sasl.X-TOKEN", "authorize", "filters.publish",
        "filters.deliver",
        "declare", "dead_letter", "events.queue_created", "events.message_dropped", "timers",
      ])
    #expect(manifest.about == "all of it")
    #expect(!manifest.enabled)
    #expect(manifest.isPureInKey)
    #expect(manifest.matcher?.binds == true)
    let publish = try #require(manifest.filters[.publish])
    #expect(publish.order == -1.5)
    #expect(publish.vhosts == ["/"])
    #expect(publish.names == ["a.*", "b"])
    #expect(manifest.filters[.deliver]?.vhosts == nil)
    #expect(manifest.filters[.deliver]?.names == ["q?"])
    #expect(manifest.filters[.enqueue] == nil)
    #expect(manifest.onError.filter(.publish) == .pass)
    #expect(manifest.onError.filter(.enqueue) == .refuse)
    #expect(manifest.onError.authorize == .allow)
    #expect(manifest.onError.authenticate == .deny)
    #expect(manifest.limits.milliseconds == 0.5)
    #expect(manifest.limits.instructions == 1000)
    #expect(manifest.limits.memoryBytes == 1 << 20)
    #expect(manifest.timers.map(\.everySeconds) == [60])
    #expect(manifest.saves && manifest.restores && manifest.declares && manifest.deadLetters)
  }

  @Test func `takes one word for what all hooks' errors mean`() throws {
    let pass = try manifest("on_error = 'pass'").onError
    #expect(pass.route == .pass && pass.filter(.enqueue) == .pass && pass.authenticate == .deny)
    let allow = try manifest("on_error = 'allow'").onError
    #expect(allow.route == .refuse && allow.authenticate == .allow && allow.authorize == .allow)
  }

  @Test func `takes empty lists and tables for nothing`() throws {
    #expect(
      try manifest("timers = {}, events = {}, filters = {}, settings = {}, on_error = {}").hooks.isEmpty)
  }

  @Test(arguments: [
    ("exchnage = f", "unknown field 'exchnage': did you mean 'exchange'?"),
    ("dead_leter = f", "unknown field 'dead_leter': did you mean 'dead_letter'?"),
    ("about = 1", "about is 1, expected a string"),
    ("enabled = 'no'", "enabled is 'no', expected true or false"),
    ("settings = f", "settings is a function, expected a table with named fields"),
    ("exchange = 1", "exchange is a number, expected a table with named fields"),
    ("exchange = {}", "exchange.route is needed and must be a function"),
    ("exchange = { route = 1 }", "exchange.route is 1, expected a function"),
    ("exchange = { route = f, bind = {} }", "exchange.bind is a table, expected a function"),
    ("exchange = { route = f, binds = f }", "unknown field 'exchange.binds': did you mean 'bind'?"),
    ("exchange = { route = f, pure = true }", "exchange.pure is true, expected { \"routing_key\" }"),
    ("exchange = { route = f, pure = { 'body' } }", "exchange.pure is a list, expected { \"routing_key\" }"),
    ("matcher = f", "matcher is a function, expected a table with named fields"),
    ("matcher = { bind = f }", "matcher.match is needed and must be a function"),
    ("authenticate = true", "authenticate is true, expected a function"),
    ("authorize = {}", "authorize is a table, expected a function"),
    ("sasl = {}", "sasl is empty, expected NAME = function"),
    ("sasl = { f }", "sasl is a list, expected a table with named fields"),
    ("sasl = { TOKEN = 1 }", "sasl.TOKEN is 1, expected a function"),
    ("sasl = { token = f }", "sasl.token: a mechanism's name is of 1 to 20 of A-Z, 0-9, - and _"),
    ("sasl = { PLAIN = f }", "sasl.PLAIN is the broker's own; use authenticate"),
    ("filters = { publsh = {} }", "unknown field 'filters.publsh': did you mean 'publish'?"),
    ("filters = { publish = f }", "filters.publish is a function, expected a table with named fields"),
    ("filters = { publish = {} }", "filters.publish.run is needed and must be a function"),
    (
      "filters = { publish = { run = f, order = 'first' } }",
      "filters.publish.order is 'first', expected a number"
    ),
    (
      "filters = { publish = { run = f, match = { queue = 'q' } } }",
      "unknown field 'filters.publish.match.queue': known are vhost, exchange"
    ),
    (
      "filters = { enqueue = { run = f, match = { exchange = 'q' } } }",
      "unknown field 'filters.enqueue.match.exchange': known are vhost, queue"
    ),
    (
      "filters = { deliver = { run = f, match = { queue = { 'q', 1 } } } }",
      "filters.deliver.match.queue is a list, expected a string or a list of strings"
    ),
    ("declare = 1", "declare is 1, expected a function"),
    ("dead_letter = 1", "dead_letter is 1, expected a function"),
    ("events = { queue_create = f }", "unknown field 'events.queue_create': did you mean 'queue_created'?"),
    ("events = { queue_created = 1 }", "events.queue_created is 1, expected a function"),
    ("timers = 1", "timers is a number, expected a list of { every = seconds, run = function }"),
    (
      "timers = { every = 1, run = f }",
      "timers is a table, expected a list of { every = seconds, run = function }"
    ),
    ("timers = { f }", "timers[1] is a function, expected a table with named fields"),
    ("timers = { { run = f } }", "timers[1].every is needed: seconds, at least 0.1"),
    ("timers = { { every = 1 } }", "timers[1].run is needed and must be a function"),
    (
      "timers = { { every = 1, run = f }, { every = 0, run = f } }",
      "timers[2].every is 0, expected a number from 0.1 to 31536000"
    ),
    (
      "timers = { { every = 0/0, run = f } }",
      "timers[1].every is -nan, expected a number from 0.1 to 31536000"
    ),
    (
      "on_error = 'ignore'",
      "on_error is 'ignore', expected 'deny', 'allow', 'refuse', 'pass' or a table by hook"
    ),
    ("on_error = 1", "on_error is a number, expected a word or a table by hook"),
    ("on_error = { publish = 'allow' }", "on_error.publish is 'allow', expected 'refuse' or 'pass'"),
    ("on_error = { authorize = 'pass' }", "on_error.authorize is 'pass', expected 'deny' or 'allow'"),
    ("on_error = { routes = 'pass' }", "unknown field 'on_error.routes': did you mean 'route'?"),
    ("limits = { milliseconds = 0 }", "limits.milliseconds is 0, expected a number from 0.01 to 60000"),
    (
      "limits = { instructions = 1.5 }",
      "limits.instructions is 1.5, expected an integer from 100 to 1000000000000"
    ),
    ("limits = { memory = 1 }", "limits.memory is 1, expected an integer from 1048576 to 1099511627776"),
    ("save = 1", "save is 1, expected a function"),
    ("restore = {}", "restore is a table, expected a function"),
  ]) func `says what is wrong with a field, and what was expected`(fields: String, text: String) {
    #expect(problem(fields) == text)
  }

  @Test func `needs the version of the API`() throws {
    #expect(throws: LuaError(.refused, "the plugin's table must say api = 1")) { try Manifest([:]) }
    #expect(throws: LuaError(.refused, "the plugin's table must say api = 1")) {
      try Manifest(["api": .text("1")])
    }
  }

  @Test func `has a bound on timers`() {
    let text = "timers has 101 entries, expected at most 100"
    #expect(
      problem("timers = (function() local t = {} for i = 1, 101 do t[i] = f end return t end)()") == text)
  }

  // MARK: settings

  @Test(arguments: [
    (
      "most = {}",
      "settings.most: expected a default or a type of string, number, integer, boolean, list, table"
    ),
    (
      "most = { default = f }",
      "settings.most: default is a function: expected a default or a type of "
        + "string, number, integer, boolean, list, table"
    ),
    ("most = 1", "settings.most is a number, expected a table with named fields"),
    (
      "most = { default = 1, maximum = 3 }",
      "unknown field 'settings.most.maximum': known are default, about, type, min, max, one_of"
    ),
    (
      "most = { type = 'text' }",
      "settings.most.type is 'text', expected 'string' or 'number' or 'integer' or 'boolean' or 'list' or 'table'"
    ),
    (
      "most = { default = 0, min = 1 }",
      "settings.most.default: 0 is too small, expected a number of at least 1"
    ),
    (
      "most = { default = 'a', type = 'number' }", "settings.most.default: 'a' is a string, expected a number"
    ),
    ("most = { default = 'a', min = 1 }", "settings.most.min is for numbers, not for a string"),
    ("most = { default = true, max = 1 }", "settings.most.max is for numbers, not for a boolean"),
    ("most = { default = 1, min = '1' }", "settings.most.min is '1', expected a number"),
    ("most = { default = 1, min = 2, max = 1 }", "settings.most: min 2 is above max 1"),
    (
      "most = { default = 1, one_of = {} }",
      "settings.most.one_of is a table, expected a list of values of type number"
    ),
    (
      "most = { default = 1, one_of = { 'a' } }",
      "settings.most.one_of is a list, expected a list of values of type number"
    ),
    (
      "most = { default = 3, one_of = { 1, 2 } }",
      "settings.most.default: 3 is not allowed, expected one of 1, 2"
    ),
    ("most = { default = 1, about = f }", "settings.most.about is a function, expected a string"),
  ]) func `says what is wrong with a setting's declaration`(settings: String, text: String) {
    #expect(problem("settings = { \(settings) }") == text)
  }

  private static let declared = """
    settings = {
      most = { default = 1000, min = 1, about = "the highest price" }, whole = { default = 1, type = "integer" },
      share = { default = 0.5, min = 0, max = 1 }, colour = { default = "red", one_of = { "red", "green" } },
      on = { default = true }, names = { default = { "a" } }, map = { default = { a = 1 } },
      any = { default = {} }, url = { type = "string" }, tier = { type = "integer", one_of = { 1, 2 } },
      below = { default = 0, max = 5 },
    }
    """

  @Test func `fills in what the operator leaves out`() throws {
    let manifest = try manifest(Self.declared)
    #expect(manifest.settings["most"]?.about == "the highest price")
    let values = try manifest.settings(with: ["most": .number(2.5), "url": .text("u")], of: "x")
    #expect(values["most"] == .number(2.5))
    #expect(values["url"] == .text("u"))
    #expect(values["colour"] == .text("red"))
    #expect(values["tier"] == nil)
    #expect(values["whole"] == .integer(1))
  }

  @Test(arguments: [
    ("whole", LuaValue.number(3), LuaValue.integer(3)), ("names", .table([:]), .table([:])),
    ("any", .list([.integer(1)]), .list([.integer(1)])), ("any", .table(["a": .null]), .table(["a": .null])),
    ("tier", .integer(2), .integer(2)), ("share", .integer(1), .integer(1)),
    ("most", .integer(1), .integer(1)),
  ]) func `takes what was declared`(name: String, value: LuaValue, taken: LuaValue) throws {
    #expect(try manifest(Self.declared).settings(with: [name: value], of: "x")[name] == taken)
  }

  @Test(arguments: [
    ("most", LuaValue.text("abc"), "'abc' is a string, expected a number of at least 1"),
    ("most", .integer(0), "0 is too small, expected a number of at least 1"),
    ("most", .number(.nan), "nan, expected a number of at least 1"),
    ("most", .list([]), "a list, expected a number of at least 1"),
    ("whole", .number(1.5), "1.5 is a number, expected an integer"),
    ("share", .number(1.5), "1.5 is too large, expected a number from 0 to 1"),
    ("below", .integer(6), "6 is too large, expected a number of at most 5"),
    ("colour", .text("blue"), "'blue' is not allowed, expected one of 'red', 'green'"),
    ("colour", .integer(1), "1 is a number, expected one of 'red', 'green'"),
    ("tier", .integer(3), "3 is not allowed, expected one of 1, 2"),
    ("on", .text("true"), "'true' is a string, expected a boolean"),
    ("names", .text("a"), "'a' is a string, expected a list"),
    ("names", .table(["a": .null]), "a table, expected a list"),
    ("map", .integer(1), "1 is a number, expected a table"),
  ]) func `says what is wrong with what the operator set`(name: String, value: LuaValue, text: String) throws
  {
    let manifest = try manifest(Self.declared)
    #expect(throws: LuaError(.refused, "setting '\(name)' of plugin 'x': \(text)")) {
      try manifest.settings(with: [name: value], of: "x")
    }
  }

  @Test func `names the setting that was probably meant`() throws {
    let one = try manifest("settings = { most = { default = 1 } }")
    #expect(throws: LuaError(.refused, "setting 'mots' of plugin 'x' is unknown: did you mean 'most'?")) {
      try one.settings(with: ["mots": .integer(1)], of: "x")
    }
    #expect(throws: LuaError(.refused, "setting 'url' of plugin 'x' is unknown: it has most")) {
      try one.settings(with: ["url": .integer(1)], of: "x")
    }
    let none = try manifest("")
    #expect(throws: LuaError(.refused, "setting 'url' of plugin 'x' is unknown: it has none")) {
      try none.settings(with: ["url": .integer(1)], of: "x")
    }
  }
}
