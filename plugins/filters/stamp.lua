--- Writes into each message who published it, when, and where: headers that a publisher cannot forge, since
--- what it sends under these names is replaced.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "headers that say who published a message, when and on which node",
  enabled = false,
  settings = {
    user = { default = "x-user", about = "header for the user's name; empty: none" },
    time = { default = "x-time", about = "header for the time; empty: none" },
    node = { default = "", about = "header for the node's name; empty: none" },
    node_name = { default = "", about = "the name that this broker stamps" },
    tenant = { default = "", about = "header for the field `tenant` of the user's identity; empty: none" },
    format = {
      default = "milliseconds", one_of = { "milliseconds", "timestamp", "iso" }, about = "of the time",
    },
    exchanges = { default = { "*" }, type = "list", about = "globs of the exchanges that are looked at" },
  },
}

local formats = {
  milliseconds = function(now) return math.floor(now * 1000) end,
  timestamp = function(now) return { timestamp = math.floor(now) } end,
  iso = function(now)
    return os.date("!%Y-%m-%dT%H:%M:%S", math.floor(now)) .. (".%03dZ"):format(math.floor(now % 1 * 1000))
  end,
}

local function match(settings) return { exchange = settings.exchanges } end

local function run(message)
  if message.delayed then return end
  local headers, remove = {}, {}
  local function set(name, value)
    if name == "" then return end
    if value == nil then remove[#remove + 1] = name else headers[name] = value end
  end
  set(settings.user, message.user)
  set(settings.time, formats[settings.format](time.now()))
  set(settings.node, settings.node_name)
  set(settings.tenant, message.identity and message.identity.tenant)
  return change({ headers = headers, remove = remove })
end

--- After all filters that change headers.
plugin.filters = { publish = { match = match, order = 900, run = run } }

return plugin
