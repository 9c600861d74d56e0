--- Messages that a plugin keeps for each of its exchanges: copies, within a bound of bytes over all of them.
--- The oldest goes first, of the exchange that has most.
local kept = {}
kept.__index = kept

local fields = {
  "exchange", "routing_key", "body", "headers", "content_type", "content_encoding", "delivery_mode",
  "priority", "correlation_id", "reply_to", "expiration", "message_id", "timestamp", "type", "user_id",
  "app_id",
}

-- Bytes that a value takes, roughly.
local function cost(value, depth)
  if type(value) == "string" then return #value + 40 end
  if type(value) ~= "table" or depth > 20 then return 16 end
  local sum = 60
  for key, item in pairs(value) do sum = sum + cost(key, depth + 1) + cost(item, depth + 1) end
  return sum
end

function kept.new() return setmetatable({ places = {}, bytes = 0 }, kept) end

--- What tells an exchange from all others.
function kept.place(exchange) return exchange.vhost .. "\0" .. exchange.name end

local function remove(self, place, at)
  local item = place.items[at]
  if not item then return end
  place.items[at] = nil
  if item.key then place.by_key[item.key] = nil end
  place.count, place.bytes, self.bytes = place.count - 1, place.bytes - item.cost, self.bytes - item.cost
end

local function remove_first(self, place)
  remove(self, place, place.first)
  place.first = place.first + 1
end

local function largest(self)
  local found
  for _, place in pairs(self.places) do
    if not found or place.bytes > found.bytes then found = place end
  end
  return found
end

-- A place whose items are replaced again and again would be mostly holes.
local function close_holes(place)
  local items = {}
  for i = place.first, place.last do
    local item = place.items[i]
    if item then items[#items + 1] = item end
    if item and item.key then place.by_key[item.key] = #items end
  end
  place.items, place.first, place.last = items, 1, #items
end

local function insert(self, name, item, most, most_bytes)
  local place = self.places[name] or { items = {}, by_key = {}, first = 1, last = 0, count = 0, bytes = 0 }
  self.places[name] = place
  if item.key and place.by_key[item.key] then remove(self, place, place.by_key[item.key]) end
  while place.count >= most do remove_first(self, place) end
  while self.bytes + item.cost > most_bytes do remove_first(self, largest(self)) end
  place.last = place.last + 1
  place.items[place.last] = item
  if item.key then place.by_key[item.key] = place.last end
  place.count, place.bytes, self.bytes = place.count + 1, place.bytes + item.cost, self.bytes + item.cost
  if place.last - place.first >= 2 * place.count + 64 then close_holes(place) end
end

--- Keeps a copy of the message; with a key, in the place of the one before with that key. One that takes more
--- than a quarter of all that may be kept is not.
function kept:keep(name, message, most, most_bytes, key)
  if message.size > most_bytes / 4 then return end
  local copy = {}
  for _, field in ipairs(fields) do copy[field] = message[field] end
  copy.delivery_mode = ({ 1, 2 })[copy.delivery_mode]  -- `publish` takes no others
  copy.timestamp = math.type(copy.timestamp) == "integer" and copy.timestamp or nil
  local item = { message = copy, cost = cost(copy, 0), key = key }
  if item.cost <= most_bytes / 4 then insert(self, name, item, most, most_bytes) end
end

--- The messages of an exchange, the oldest first.
function kept:each(name)
  local place = self.places[name] or { items = {}, first = 1, last = 0 }
  local i = place.first - 1
  return function()
    repeat i = i + 1 until place.items[i] or i > place.last
    return place.items[i] and place.items[i].message
  end
end

function kept:get(name, key)
  local at = self.places[name] and self.places[name].by_key[key]
  return at and self.places[name].items[at].message
end

function kept:forget(name)
  if self.places[name] then self.bytes = self.bytes - self.places[name].bytes end
  self.places[name] = nil
end

function kept:saved()
  local all = {}
  for name, place in pairs(self.places) do
    for i = place.first, place.last do
      local item = place.items[i]
      if item then all[#all + 1] = { place = name, message = item.message, key = item.key } end
    end
  end
  return all
end

function kept.restored(all)
  local self = kept.new()
  for _, item in ipairs(all or {}) do
    item.cost = cost(item.message, 0)
    insert(self, item.place, item, math.huge, math.huge)
  end
  return self
end

return kept
