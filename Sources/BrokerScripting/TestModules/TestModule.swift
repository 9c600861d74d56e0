/// `require("yutu.test")`: what a plugin's tests stand on. It runs in the plugin's own interpreter, against
/// the same bindings and the same `route` that the broker calls, and against the same functions of its table.

/// By the name that `require` knows them by.
let testModules = [
  "yutu.test": testModule, "yutu.test.message": testMessageModule, "yutu.test.world": testWorldModule,
]

private let testModule = #"""
  --- Tests of a plugin: t.test(name, f), t.equal(got, expected), and a function for each hook.
  local host = require("yutu.host")
  local new_message = require("yutu.test.message")
  local world = require("yutu.test.world")
  local t = {
    http = world.http, dns = world.dns, now = world.now, advance = world.advance, published = world.published,
  }
  local failed = {}

  local function show(value, depth)
    if type(value) == "string" then return string.format("%q", value) end
    if type(value) ~= "table" or depth > 3 then return tostring(value) end
    local parts, keys = {}, {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    for _, key in ipairs(keys) do
      local name = math.type(key) and "" or tostring(key) .. " = "
      parts[#parts + 1] = name .. show(value[key], depth + 1)
    end
    return "{" .. table.concat(parts, ", ") .. "}"
  end

  local function same(a, b, depth)
    if a == b then return true end
    if type(a) ~= "table" or type(b) ~= "table" or depth > 50 then return false end
    for key, value in pairs(a) do if not same(value, b[key], depth + 1) then return false end end
    for key in pairs(b) do if a[key] == nil then return false end end
    return true
  end

  --- Fails unless both are equal; tables are compared by what they hold.
  function t.equal(got, expected)
    if not same(got, expected, 0) then
      error("expected " .. show(expected, 0) .. ", got " .. show(got, 0), 2)
    end
  end

  --- Fails unless the condition holds.
  function t.ok(condition, text)
    if not condition then error(text or "expected a true value", 2) end
  end

  --- Fails unless the function fails with an error that contains the text.
  function t.fails(f, text)
    local fine, reason = pcall(f)
    if fine then error("expected an error", 2) end
    if text and not tostring(reason):find(text, 1, true) then
      error("expected an error with " .. show(text, 0) .. ", got " .. show(tostring(reason), 0), 2)
    end
  end

  --- Runs a test; a failure is kept and the others run on.
  function t.test(name, f)
    local fine, reason = pcall(f)
    if not fine then failed[#failed + 1] = tostring(reason) .. " in '" .. name .. "'" end
  end

  function t.failures() return failed end

  --- Changes settings for the tests that follow.
  function t.settings(values)
    local declared = host.plugin().settings or {}
    for name, value in pairs(values) do
      if declared[name] == nil then error("unknown setting '" .. tostring(name) .. "'", 2) end
      settings[name] = value
    end
  end

  -- Exchange types

  local exchange = {}
  exchange.__index = exchange

  local function with_defaults(given, defaults)
    local all = {}
    for name, value in pairs(defaults) do all[name] = value end
    for name, value in pairs(given or {}) do all[name] = value end
    return all
  end

  --- An exchange of the plugin's type. bindings: queue name -> arguments, or -> {key = …, arguments = …}.
  --- Nil and the denial when `validate` refuses it.
  function t.exchange(name, options)
    local definition = with_defaults(options, {
      name = name, type = name, vhost = "/", durable = true, auto_delete = false, internal = false,
      arguments = {},
    })
    definition.bindings = nil
    local bindings, denial = host.exchange(definition)
    if not bindings then return nil, denial end
    local made = setmetatable({ bindings = bindings }, exchange)
    local queues = {}
    for queue in pairs(options and options.bindings or {}) do queues[#queues + 1] = queue end
    table.sort(queues)
    for _, queue in ipairs(queues) do
      local fine, reason = made:bind(queue, options.bindings[queue])
      if not fine then error("binding of '" .. queue .. "' refused: " .. reason, 2) end
    end
    return made
  end

  --- True, or nil and the text of the denial. binding: arguments, a key, or {key = …, arguments = …,
  --- destination_kind = "exchange", is_new = false}: as at a recovery.
  function exchange:bind(queue, binding)
    if type(binding) == "string" then binding = { key = binding } end
    local spelled = binding.key or type(binding.arguments) == "table"
    local key, arguments, to_exchange, is_old = "", binding, false, false
    if spelled then
      key, arguments = binding.key or "", binding.arguments or {}
      to_exchange, is_old = binding.destination_kind == "exchange", binding.is_new == false
    end
    return world.call(host.bind, self.bindings, queue, key, arguments, to_exchange, is_old)
  end

  --- Sorted names of the queues, or the verdict.
  function exchange:route(message)
    local result = world.call(host.route, self.bindings, message)
    if not result.verdict then table.sort(result) end
    return result
  end

  -- Hooks that are functions of the plugin's table

  local function names(text)
    local set = {}
    for name in text:gmatch("%a+") do set[name] = true end
    return set
  end

  local answers = {
    publish = names("allow change drop deny delay throttle"),
    enqueue = names("allow change drop deny delay throttle"),
    deliver = names("allow change drop deny delay"),
    authenticate = names("allow deny"), sasl = names("allow deny"), authorize = names("allow deny"),
    declare = names("change deny"), dead_letter = names("delay drop"),
  }

  local function checked(hook, result)
    if result == nil then return nil end
    if type(result) ~= "table" or getmetatable(result) ~= "verdict" then
      error(hook .. " returned " .. show(result, 0) .. ", which is no verdict", 0)
    end
    if not answers[hook][result.verdict] then
      error(hook .. " cannot return " .. result.verdict, 0)
    end
    return result
  end

  local function hook(name)
    local found = host.plugin()[name]
    if found == nil then error("the plugin has no '" .. name .. "'", 3) end
    return found
  end

  --- What the matcher says of the headers, or nil and the denial of the arguments.
  function t.matches(arguments, headers)
    local matcher = hook("matcher")
    local kept
    if matcher.bind then kept = world.call(matcher.bind, arguments or {}) end
    if type(kept) == "table" and getmetatable(kept) == "verdict" then return nil, kept end
    local found = world.call(matcher.match, headers or {}, kept)
    if type(found) ~= "boolean" and found ~= nil then
      error("matcher.match returned " .. show(found, 0) .. ", which is no boolean", 0)
    end
    return found == true
  end

  local function matches_glob(globs, text)
    if type(globs) == "string" then globs = { globs } end
    for _, glob in ipairs(globs) do
      local pattern = glob:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".")
      if text:find("^" .. pattern .. "$") then return true end
    end
    return false
  end

  local function filter(name, message)
    local filters = hook("filters")
    local found = filters[name] or error("the plugin has no 'filters." .. name .. "'", 3)
    message = new_message(message)
    local match = found.match
    if type(match) == "function" then match = world.call(match, settings) end
    if match == false then return nil end
    for field, globs in pairs(match or {}) do
      if not matches_glob(globs, message[field] or "") then return nil end
    end
    return checked(name, world.call(found.run, message))
  end

  --- The filter's verdict; nil when there is none, or its `match` is not for that message.
  function t.publish(message) return filter("publish", message) end
  function t.enqueue(message) return filter("enqueue", with_defaults(message, { queue = "q" })) end
  function t.deliver(message) return filter("deliver", with_defaults(message, { queue = "q" })) end

  local function login_of(given, mechanism)
    local login = with_defaults(given, { mechanism = mechanism or "PLAIN", client = {} })
    if login.mechanism == "PLAIN" or login.mechanism == "AMQPLAIN" then
      login.user, login.password = login.user or "guest", login.password or "guest"
      login.response = login.response or "\0" .. login.user .. "\0" .. login.password
    end
    login.peer = with_defaults(login.peer, { address = "127.0.0.1", port = 50000, loopback = true })
    return login
  end

  --- The verdict of `authenticate`.
  function t.login(login)
    return checked("authenticate", world.wait(hook("authenticate"), login_of(login)))
  end

  --- The verdict of a mechanism, whose challenges the client answers with the responses in turn; and the
  --- list of the challenges.
  function t.sasl(name, login, responses)
    local mechanism = hook("sasl")[name] or error("the plugin has no mechanism '" .. name .. "'", 2)
    local challenges = {}
    local function answer(text)
      challenges[#challenges + 1] = text
      return (responses or {})[#challenges] or error("no response is left for the challenge " .. show(text, 0), 0)
    end
    return checked("sasl", world.wait(mechanism, login_of(login, name), answer)), challenges
  end

  --- The verdict of `authorize`.
  function t.authorize(request)
    request = with_defaults(request, { user = "guest", tags = {}, vhost = "/", operation = "connect" })
    if request.operation == "connect" then
      request.resource, request.name = request.resource or "vhost", request.name or request.vhost
    end
    request.peer = with_defaults(request.peer, { address = "127.0.0.1", port = 50000, loopback = true })
    return checked("authorize", world.wait(hook("authorize"), request))
  end

  --- The verdict of `declare`.
  function t.declare(kind, definition)
    local defaults = {
      vhost = "/", name = "", durable = true, auto_delete = false, arguments = {}, user = "guest",
    }
    if kind == "queue" then
      defaults.exclusive = false
    elseif kind == "exchange" then
      defaults.type, defaults.internal = "direct", false
    else
      error("the kind is \"queue\" or \"exchange\"", 2)
    end
    return checked("declare", world.call(hook("declare"), kind, with_defaults(definition, defaults)))
  end

  --- The verdict of `dead_letter`.
  function t.dead_letter(message, death)
    message = new_message(with_defaults(message, { queue = "q" }))
    death = with_defaults(death, { queue = message.queue, reason = "rejected", count = 1 })
    return checked("dead_letter", world.call(hook("dead_letter"), message, death))
  end

  --- Calls the plugin's function for an event, if it has one.
  function t.event(name, event)
    local f = hook("events")[name]
    if f then world.wait(f, event or {}) end
  end

  --- Calls a timer, the first unless another is named.
  function t.timer(index)
    local timer = hook("timers")[index or 1] or error("the plugin has no timer " .. tostring(index or 1), 2)
    world.wait(timer.run)
  end

  local function plain_copy(value, depth)
    if type(value) == "table" and getmetatable(value) == nil and depth < 50 then
      local copy = {}
      for key, item in pairs(value) do copy[plain_copy(key, depth + 1)] = plain_copy(item, depth + 1) end
      return copy
    end
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" and kind ~= "boolean" and value ~= null then
      error("save returned a " .. kind .. ", which is no plain data", 0)
    end
    return value
  end

  --- `save` and `restore`; returns what was saved.
  function t.reload()
    local saved = plain_copy(world.call(hook("save")), 0)
    world.call(hook("restore"), saved)
    return saved
  end

  return t
  """#
