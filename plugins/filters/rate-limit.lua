--- Holds publishers to a rate: a token bucket for each user, exchange, routing key or value of a header. What
--- is beyond it is refused, dropped, or accepted while the connection is made to wait.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "so many messages a second for each user, exchange or key",
  enabled = false,
  settings = {
    rate = { default = 100, min = 0.001, type = "number", about = "messages a second in the long run" },
    burst = { default = 200, min = 1, type = "number", about = "messages at once" },
    by = {
      default = "user", one_of = { "user", "vhost", "exchange", "routing_key", "header" },
      about = "what has a bucket of its own",
    },
    header = { default = "", about = "the header whose values have buckets, if by = \"header\"" },
    action = { default = "throttle", one_of = { "deny", "drop", "throttle" }, about = "beyond the rate" },
    exchanges = { default = { "*" }, type = "list", about = "globs of the exchanges that are limited" },
    buckets = {
      default = 100000, type = "integer", min = 100, max = 1000000, about = "that are kept; the oldest goes",
    },
  },
}

local joined = require("joined")

--- The longest that a connection is made to wait at once, in seconds: longer ones miss heartbeats.
local longest_wait = 10

local function match(settings) return { exchange = settings.exchanges } end

local function key_of(message)
  local by = settings.by
  local value
  if by == "header" then value = message.headers[settings.header] else value = message[by] end
  return value ~= nil and joined(message.vhost, value) or nil
end

--- Seconds to wait before the next message. Each accepted message puts off the moment at which the bucket is
--- full again, also one that came too early.
local function wait_for(buckets, key)
  local now = time.monotonic()
  local full_at = math.max(now, buckets:get(key) or now) + 1 / settings.rate
  buckets:set(key, full_at, full_at - now + 1)
  return full_at - now - settings.burst / settings.rate
end

local function run(message)
  local key = key_of(message)
  if not key then return end
  if settings.action == "throttle" then
    local seconds = wait_for(shared("rate-limit waits", settings.buckets), key)
    if seconds > 0 then return throttle(math.ceil(math.min(seconds, longest_wait) * 1000)) end
    return
  end
  local buckets = shared("rate-limit", settings.buckets)
  local taken, seconds = buckets:take(key, settings.rate, settings.burst)
  if taken then return end
  local reason = ("more than %g messages a second; the next in %.3f seconds"):format(settings.rate, seconds)
  return settings.action == "drop" and drop(reason) or deny(reason)
end

plugin.filters = { publish = { match = match, order = -100, run = run } }

return plugin
