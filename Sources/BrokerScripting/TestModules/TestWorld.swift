/// What surrounds a plugin while `yutu.test` runs it: a clock that tests move, a network that they play, and a
/// record of what was published.

let testWorldModule = #"""
  --- Answers what would wait, and records what is published.
  local host = require("yutu.host")
  local world = {}
  local challenged
  local answer_http, answer_dns
  local published = {}

  local function finish(fine, ...)
    challenged = nil
    host.waits(nil)
    if not fine then error((...), 0) end
    return ...
  end

  --- Calls a hook that may not wait.
  function world.call(f, ...)
    host.begin()
    return finish(pcall(f, ...))
  end

  --- f(request) answers http.request from now on: a response, or nil and a reason.
  function world.http(f) answer_http = f end
  --- f(name) answers dns.resolve from now on: a list of addresses, or nil and a reason.
  function world.dns(f) answer_dns = f end
  function world.now(seconds) host.set_clock(seconds) end
  function world.advance(seconds) host.advance(seconds) end

  local answers = {
    sleep = host.advance,
    challenge = function(text)
      if not challenged then error("challenge: this hook is no mechanism of sasl", 0) end
      return challenged(text)
    end,
    ["dns.resolve"] = function(name)
      if not answer_dns then error("dns.resolve: the test gave no t.dns(f)", 0) end
      return answer_dns(name)
    end,
    ["http.request"] = function(request)
      if not answer_http then error("http.request: the test gave no t.http(f)", 0) end
      local asked = { method = "GET", headers = {}, timeout = 5 }
      for name, value in pairs(request) do asked[name] = value end
      local answer, reason = answer_http(asked)
      if not answer then return nil, reason or "no answer" end
      return { status = answer.status or 200, headers = answer.headers or {}, body = answer.body or "" }
    end,
  }

  --- Calls a hook that may wait; challenge: what the client answers to a text.
  function world.wait(f, argument, challenge)
    host.begin()
    challenged = challenge
    host.waits(function(name, request) return answers[name](request) end)
    return finish(pcall(f, argument))
  end

  local os_time = os.time
  function os.time(date)
    return date and os_time(date) or math.floor(time.now())
  end

  -- What is published

  local copied = { "exchange", "routing_key", "vhost", "body", "headers" }
  for name in ([[
    content_type content_encoding delivery_mode priority correlation_id reply_to expiration message_id timestamp
    type user_id app_id
  ]]):gmatch("%S+") do copied[#copied + 1] = name end

  local check = publish

  local function copy_of(message, fields)
    local sent, headers = {}, {}
    for _, name in ipairs(copied) do sent[name] = message[name] end
    for name, value in pairs(message.headers) do headers[name] = value end
    for _, name in ipairs(fields.remove or {}) do headers[name] = nil end
    for name, value in pairs(fields.headers or {}) do headers[name] = value end
    for name, value in pairs(fields) do
      if value == null then value = nil end
      sent[name] = value
    end
    sent.headers, sent.remove = headers, nil
    return sent
  end

  --- The broker's own checks its fields; then it is kept for the test.
  function publish(message, fields)
    local is_copy = type(message) == "userdata" or getmetatable(message) == false
    local sent = is_copy and copy_of(message, fields or {}) or message
    if type(message) == "userdata" then check(message, fields) else check(sent) end
    published[#published + 1] = is_copy and sent or copy_of({ headers = {} }, sent)
    return true
  end

  --- What was published since the last call.
  function world.published()
    local all = published
    published = {}
    return all
  end

  return world
  """#
