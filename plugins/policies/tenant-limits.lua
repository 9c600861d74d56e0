--- Sets limits for queues by rules of the operator, whatever their clients ask for: a maximum length, a
--- maximum of bytes, an expiry. A client may ask for less than the rule, not for more.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "limits for queues, by virtual host, name, user and tenant",
  enabled = false,
  settings = {
    rules = {
      default = {}, type = "list",
      about = "globs vhost, name, user, tenant, and arguments or deny; the first that fits counts",
    },
  },
}

local glob = require("glob")

--- Arguments of which a client may ask for less.
local at_most = {
  ["x-max-length"] = true, ["x-max-length-bytes"] = true, ["x-expires"] = true, ["x-message-ttl"] = true,
  ["x-delivery-limit"] = true,
}

local rules

local function read_rules()
  rules = {}
  for i, rule in ipairs(settings.rules) do
    local tests = {}
    for _, field in ipairs({ "vhost", "name", "user", "tenant" }) do
      if rule[field] then tests[field] = glob(rule[field]) end
    end
    rules[i] = { tests = tests, arguments = rule.arguments or {}, deny = rule.deny }
  end
end

local function fits(rule, values)
  for field, test in pairs(rule.tests) do
    if not test(values[field] or "") then return false end
  end
  return true
end

function plugin.declare(kind, definition)
  if kind ~= "queue" then return end
  if not rules then read_rules() end
  local values = {
    vhost = definition.vhost, name = definition.name, user = definition.user,
    tenant = definition.identity and definition.identity.tenant,
  }
  for _, rule in ipairs(rules) do
    if fits(rule, values) then
      if rule.deny then return deny(rule.deny) end
      local set = {}
      for name, limit in pairs(rule.arguments) do
        local asked = definition.arguments[name]
        local is_less = at_most[name] and math.type(asked) == "integer" and asked >= 0 and asked <= limit
        if not is_less then set[name] = limit end
      end
      if next(set) then return change({ arguments = set }) end
      return
    end
  end
end

return plugin
