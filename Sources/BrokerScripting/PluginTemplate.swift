/// What `yutu plugin new` writes: a plugin of each kind that does something, and its tests. Knows no disk.

package struct PluginTemplate: Sendable {
  package enum Kind: String, Sendable, CaseIterable { case exchange, auth, filter, matcher, policy }

  /// Of the kind, below the folder of plugins.
  package let folder: String
  package let plugin: String
  package let tests: String

  package init(_ kind: Kind, name: String) {
    (folder, plugin, tests) =
      switch kind {
      case .exchange: ("exchanges", Self.exchange, Self.exchangeTests.replacing("NAME", with: name))
      case .auth: ("auth", Self.auth, Self.authTests)
      case .filter: ("filters", Self.filter, Self.filterTests)
      case .matcher: ("matchers", Self.matcher, Self.matcherTests)
      case .policy: ("policies", Self.policy, Self.policyTests)
      }
  }

  /// - Returns: why a plugin cannot be called so
  package static func problem(withName name: String) -> String? {
    let isPlain = name.utf8.allSatisfy { octet in
      switch octet {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
    guard isPlain, 1...100 ~= name.utf8.count else { return "expected 1 to 100 of A-Z, a-z, 0-9, - and _" }
    guard !name.hasPrefix("_") else { return "a name that begins with _ is never loaded" }
    return name.hasSuffix("_test") ? "a name that ends in _test is that of tests" : nil
  }

  private static let exchange = """
    --- An exchange type: a message goes to the bindings whose key is its header "region".
    ---@type yutu.Plugin
    local plugin = {
      api = 1,
      about = "route by the header region",
    }

    local function bind(binding)
      if binding.key == "" then return deny("the binding key must be a region") end
    end

    local function route(message, bindings)
      return bindings:key(message.headers.region or "")
    end

    plugin.exchange = { bind = bind, route = route }

    return plugin

    """

  private static let exchangeTests = """
    local t = require("yutu.test")

    local exchange = t.exchange("NAME", { bindings = { here = { key = "eu" }, there = { key = "us" } } })

    t.test("a message goes to the bindings with its region", function()
      t.equal(exchange:route({ headers = { region = "eu" } }), { "here" })
    end)

    t.test("a message without a region goes nowhere", function()
      t.equal(exchange:route({}), {})
    end)

    t.test("a binding without a region is refused", function()
      local _, reason = exchange:bind("q", { key = "" })
      t.equal(reason, "the binding key must be a region")
    end)

    """

  private static let auth = """
    --- An authenticator: users whose password hashes stand in the configuration.
    ---@type yutu.Plugin
    local plugin = {
      api = 1,
      about = "users from the configuration",
      enabled = false,
      settings = { users = { default = {}, type = "table", about = "by user name: a hash as RabbitMQ has it" } },
    }

    function plugin.authenticate(login)
      local hash = settings.users[login.user or ""]
      if not hash then return end
      if not password.check(hash, login.password or "") then return deny("wrong password") end
      return allow({ tags = { "management" } })
    end

    return plugin

    """

  private static let authTests = """
    local t = require("yutu.test")

    t.settings({ users = { anna = password.hash("secret") } })

    t.test("a user with the right password may come in", function()
      t.equal(t.login({ user = "anna", password = "secret" }), { verdict = "allow", tags = { "management" } })
    end)

    t.test("a wrong password is denied", function()
      t.equal(t.login({ user = "anna", password = "guess" }), { verdict = "deny", reason = "wrong password" })
    end)

    t.test("for others the next in the chain is asked", function()
      t.equal(t.login({ user = "bert", password = "secret" }), nil)
    end)

    """

  private static let filter = """
    --- A filter: bodies above a limit are refused.
    ---@type yutu.Plugin
    local plugin = {
      api = 1,
      about = "refuse large bodies",
      enabled = false,
      settings = { most = { default = 65536, min = 0, about = "octets of a body" } },
    }

    plugin.filters = {
      publish = {
        match = { exchange = "*" },
        run = function(message)
          if message.size > settings.most then return deny("a body of more than " .. settings.most .. " octets") end
        end,
      },
    }

    return plugin

    """

  private static let filterTests = """
    local t = require("yutu.test")

    t.settings({ most = 3 })

    t.test("a large body is refused", function()
      local verdict = t.publish({ exchange = "e", body = "four" })
      t.equal(verdict, { verdict = "deny", reason = "a body of more than 3 octets" })
    end)

    t.test("a small body passes", function()
      t.equal(t.publish({ exchange = "e", body = "two" }), nil)
    end)

    """

  private static let matcher = """
    --- A matcher for exchanges of type headers: the header "price" is at least the argument "min".
    ---@type yutu.Plugin
    local plugin = {
      api = 1,
      about = "match prices from a minimum on",
    }

    local function bind(arguments)
      if not math.type(arguments.min) then return deny("min must be a number") end
      return arguments.min
    end

    local function match(headers, min)
      return math.type(headers.price) ~= nil and headers.price >= min
    end

    plugin.matcher = { bind = bind, match = match }

    return plugin

    """

  private static let matcherTests = """
    local t = require("yutu.test")

    t.test("a price from the minimum on matches", function()
      t.equal(t.matches({ min = 10 }, { price = 10 }), true)
      t.equal(t.matches({ min = 10 }, { price = 9.5 }), false)
      t.equal(t.matches({ min = 10 }, {}), false)
    end)

    t.test("a binding without a minimum is refused", function()
      t.equal(t.matches({ min = "10" }, { price = 10 }), nil)
    end)

    """

  private static let policy = """
    --- A policy: every queue has a maximum length.
    ---@type yutu.Plugin
    local plugin = {
      api = 1,
      about = "bound the length of queues",
      enabled = false,
      settings = { most = { default = 100000, type = "integer", min = 1, about = "messages in a queue" } },
    }

    function plugin.declare(kind, definition)
      if kind ~= "queue" or definition.arguments["x-max-length"] then return end
      return change({ arguments = { ["x-max-length"] = settings.most } })
    end

    return plugin

    """

  private static let policyTests = """
    local t = require("yutu.test")

    t.settings({ most = 10 })

    t.test("a queue without a maximum gets one", function()
      local verdict = t.declare("queue", { name = "q", arguments = {} })
      t.equal(verdict, { verdict = "change", arguments = { ["x-max-length"] = 10 } })
    end)

    t.test("what a client asked for stays", function()
      t.equal(t.declare("queue", { name = "q", arguments = { ["x-max-length"] = 5 } }), nil)
    end)

    t.test("exchanges are left alone", function()
      t.equal(t.declare("exchange", { name = "e", type = "topic", arguments = {} }), nil)
    end)

    """
}
