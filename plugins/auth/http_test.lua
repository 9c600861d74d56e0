local t = require("yutu.test")

local asked

local function answer(body, status)
  t.http(function(request)
    asked = request
    return { status = status or 200, body = body }
  end)
end

local function as(request)
  request.identity = { backend = "http" }
  return request
end

t.test("a login is asked with GET, its values escaped", function()
  answer("allow")
  local verdict = t.login({ user = "ann b", password = "p&q=ü/+~._-" })
  t.equal(verdict, { verdict = "allow", tags = {}, as = { backend = "http" } })
  t.equal(asked.method, "GET")
  t.equal(asked.url, "http://localhost:8000/auth/user?username=ann+b&password=p%26q%3D%C3%BC%2F%2B~._-")
  t.equal(asked.body, nil)
end)

t.test("or with POST, as a form", function()
  t.settings({ http_method = "post", user_path = "https://auth/u" })
  answer("allow")
  t.login({ user = "ann", password = "secret" })
  t.equal(asked.method, "POST")
  t.equal(asked.url, "https://auth/u")
  t.equal(asked.body, "username=ann&password=secret")
  t.equal(asked.headers["content-type"], "application/x-www-form-urlencoded")
  t.settings({ http_method = "get", user_path = "http://localhost:8000/auth/user" })
end)

t.test("words after allow are tags, and space around the answer is nothing", function()
  answer(" allow administrator  monitoring\n")
  t.equal(t.login().tags, { "administrator", "monitoring" })
  answer("ALLOW", 201)
  t.equal(t.login().verdict, "allow")
end)

t.test("deny denies, with the service's reason for the log", function()
  answer("deny")
  t.equal(t.login().reason, "denied by the HTTP service")
  answer("DENY\n")
  t.equal(t.login().reason, "denied by the HTTP service")
  answer("deny account locked")
  t.equal(t.login().reason, "account locked")
end)

t.test("the next in the chain may be asked instead", function()
  t.settings({ ask_next_on_deny = true })
  answer("deny")
  t.equal(t.login(), nil)
  t.http(function() return nil, "connection refused" end)
  t.equal(t.login().verdict, "deny")
  t.settings({ ask_next_on_deny = false })
end)

t.test("whatever else comes denies", function()
  for _, body in ipairs({ "", "yes", "allowed", "denied", "<html>" }) do
    answer(body)
    t.equal(t.login().verdict, "deny")
    t.equal(t.authorize(as({})).verdict, "deny")
  end
  answer("allow", 500)
  t.equal(t.login().reason, "http://localhost:8000/auth/user answered 500")
  t.http(function() return nil, "connection refused" end)
  t.equal(t.login().reason, "no answer from http://localhost:8000/auth/user: connection refused")
  t.equal(t.authorize(as({})).reason, "no answer from http://localhost:8000/auth/vhost: connection refused")
end)

t.test("a virtual host is asked with the address and the tags", function()
  answer("allow")
  local request = { user = "ann", vhost = "/", tags = { "a", "b" }, peer = { address = "10.0.0.1" } }
  t.equal(t.authorize(as(request)), { verdict = "allow" })
  t.equal(asked.url, "http://localhost:8000/auth/vhost?username=ann&vhost=%2F&ip=10.0.0.1&tags=a+b")
end)

t.test("a resource is asked with its kind, name and the permission", function()
  answer("deny")
  local request = as({ user = "ann", vhost = "v", operation = "configure", resource = "queue", name = "q.1" })
  t.equal(t.authorize(request).verdict, "deny")
  t.equal(
    asked.url, "http://localhost:8000/auth/resource"
      .. "?username=ann&vhost=v&resource=queue&name=q.1&permission=configure&tags=")
  answer("deny not yours")
  t.equal(t.authorize(request).reason, "not yours")
end)

t.test("a topic is asked with its routing key", function()
  answer("allow")
  t.authorize(as({
    user = "ann", vhost = "v", operation = "write", resource = "topic", name = "amq.topic",
    routing_key = "a.#",
  }))
  t.equal(
    asked.url, "http://localhost:8000/auth/topic"
      .. "?username=ann&vhost=v&resource=topic&name=amq.topic&permission=write&tags="
      .. "&routing_key=a.%23&variable_map.username=ann&variable_map.vhost=v")
end)

t.test("users of others are not asked about", function()
  asked = nil
  t.equal(t.authorize({ user = "guest" }), nil)
  t.equal(t.authorize({ user = "guest", identity = { backend = "ldap" } }), nil)
  t.equal(asked, nil)
end)
