--- Takes out what not everyone may see: named headers, and fields of a JSON body, removed or replaced by a
--- mask. On publish no queue ever holds them; on deliver the queue keeps the message and consumers get less.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "remove or mask headers and fields of JSON bodies",
  enabled = false,
  settings = {
    stage = { default = "publish", one_of = { "publish", "deliver" }, about = "when" },
    names = { default = { "*" }, type = "list", about = "globs of exchanges (publish) or queues (deliver)" },
    headers = { default = {}, type = "list", about = "headers" },
    fields = { default = {}, type = "list", about = "paths in the body: card.number, items.*.price" },
    mask = { default = "***", about = "what stands in their place; empty: they are removed" },
    keep_last = { default = 0, type = "integer", min = 0, max = 16, about = "last characters that stay" },
    except_users = { default = {}, type = "list", about = "users that see everything, on deliver" },
    max_bytes = { default = 8192, min = 1, max = 1048576, about = "larger bodies are refused" },
  },
}

local paths = require("paths")

local excepted, fields

local function masked(value)
  if settings.mask == "" then return nil end
  local last = settings.keep_last
  if last == 0 or type(value) ~= "string" or #value <= 2 * last then return settings.mask end
  return settings.mask .. value:sub(-last)
end

--- The body without what is to be taken out; nil when there is nothing in it; false when it cannot be read.
local function redacted(message)
  if #fields == 0 or message.size == 0 then return nil end
  if message.size > settings.max_bytes then return false end
  local fine, body = pcall(json.decode, message.body)
  if not fine or type(body) ~= "table" then return nil end
  local count = 0
  for _, parts in ipairs(fields) do
    count = count + paths.visit(body, parts, function(place, key)
      -- An array keeps its length.
      place[key] = masked(place[key]) or math.type(key) and null or nil
    end)
  end
  if count > 0 then return json.encode(body) end
end

local function prepare()
  excepted, fields = {}, {}
  for i, text in ipairs(settings.fields) do fields[i] = paths.split(text) end
  for _, user in ipairs(settings.except_users) do excepted[user] = true end
end

local function redact(message)
  if not fields then prepare() end
  local answer, found = { headers = {}, remove = {} }, false
  local headers = message.headers
  for _, name in ipairs(settings.headers) do
    if headers[name] ~= nil then
      found = true
      local value = masked(headers[name])
      if value then answer.headers[name] = value else table.insert(answer.remove, name) end
    end
  end
  local body = redacted(message)
  if body == false then
    return deny(("a body of %d bytes; at most %d can be redacted"):format(message.size, settings.max_bytes))
  end
  answer.body = body
  if found or body then return change(answer) end
end

local function deliver(message)
  if not excepted then prepare() end
  if not excepted[message.user] then return redact(message) end
end

plugin.filters = {
  publish = {
    match = function(settings) return settings.stage == "publish" and { exchange = settings.names } end,
    order = 500, run = redact,
  },
  deliver = {
    match = function(settings) return settings.stage == "deliver" and { queue = settings.names } end,
    order = 500, run = deliver,
  },
}

return plugin
