--- Asks an HTTP service who may log in and what they may do, with the requests that RabbitMQ's HTTP backend
--- sends, so that a service written for it works unchanged.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "logins and permissions by an HTTP service, as RabbitMQ asks it",
  enabled = false,
  settings = {
    http_method = { default = "get", one_of = { "get", "post" }, about = "post keeps passwords out of logs" },
    user_path = { default = "http://localhost:8000/auth/user", about = "URL for logins" },
    vhost_path = { default = "http://localhost:8000/auth/vhost", about = "URL for virtual hosts" },
    resource_path = { default = "http://localhost:8000/auth/resource", about = "URL for resources" },
    topic_path = { default = "http://localhost:8000/auth/topic", about = "URL for topics" },
    timeout = { default = 5, min = 0.1, max = 25, type = "number", about = "seconds to wait for an answer" },
    ask_next_on_deny = { default = false, about = "a login that the service denies goes on along the chain" },
  },
}

local function escaped(text)
  text = tostring(text):gsub("[^%w%-%._~ ]", function(c) return ("%%%02X"):format(c:byte()) end)
  return (text:gsub(" ", "+"))
end

--- The answer's text, or nil and a reason. fields: a list of {name, value}.
local function ask(url, fields)
  local parts = {}
  for i, field in ipairs(fields) do parts[i] = field[1] .. "=" .. escaped(field[2]) end
  local request = { url = url, method = settings.http_method:upper(), timeout = settings.timeout }
  if request.method == "GET" then
    request.url = url .. "?" .. table.concat(parts, "&")
  else
    request.body = table.concat(parts, "&")
    request.headers = { ["content-type"] = "application/x-www-form-urlencoded" }
  end
  local answer, reason = http.request(request)
  if not answer then return nil, "no answer from " .. url .. ": " .. tostring(reason) end
  if answer.status ~= 200 and answer.status ~= 201 then return nil, url .. " answered " .. answer.status end
  return answer.body:match("^%s*(.-)%s*$")
end

--- The reason for which an answer denies, or nil.
local function denial_of(answer)
  if answer:lower() == "deny" then return "denied by the HTTP service" end
  return answer:match("^deny (.+)$")
end

function plugin.authenticate(login)
  local fields = { { "username", login.user or "" } }
  if login.password then fields[2] = { "password", login.password } end
  local answer, problem = ask(settings.user_path, fields)
  if not answer then return deny(problem) end
  local reason = denial_of(answer)
  if reason then
    if settings.ask_next_on_deny then return end
    return deny(reason)
  end
  if not (answer .. " "):lower():find("^allow%s") then
    return deny(settings.user_path .. " answered '" .. answer:sub(1, 100) .. "'")
  end
  local tags = {}
  for tag in answer:sub(6):gmatch("%S+") do tags[#tags + 1] = tag end
  return allow({ tags = tags, as = { backend = "http" } })
end

--- What is asked, and where. Only of users that this plugin let in; others have permissions of their own.
function plugin.authorize(request)
  if not request.identity or request.identity.backend ~= "http" then return end
  local fields = { { "username", request.user }, { "vhost", request.vhost } }
  local function add(name, value) fields[#fields + 1] = { name, value } end
  local tags, url = table.concat(request.tags or {}, " "), settings.resource_path
  if request.operation == "connect" then
    url = settings.vhost_path
    add("ip", request.peer and request.peer.address or "")
    add("tags", tags)
  else
    add("resource", request.resource)
    add("name", request.name)
    add("permission", request.operation)
    add("tags", tags)
  end
  if request.resource == "topic" then
    url = settings.topic_path
    add("routing_key", request.routing_key)
    add("variable_map.username", request.user)
    add("variable_map.vhost", request.vhost)
  end
  local answer, problem = ask(url, fields)
  if not answer then return deny(problem) end
  if answer:lower() == "allow" then return allow() end
  return deny(denial_of(answer) or url .. " answered '" .. answer:sub(1, 100) .. "'")
end

return plugin
