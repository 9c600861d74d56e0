local t = require("yutu.test")

local function exchange(name, length)
  return t.exchange(name, { arguments = { ["x-recent-history-length"] = length }, bindings = { old = {} } })
end

local function bodies()
  local all = {}
  for i, message in ipairs(t.published()) do all[i] = message.body end
  return table.concat(all, " ")
end

local function fill(target, first, last)
  for i = first, last do target:route({ exchange = "x", routing_key = "k" .. i, body = tostring(i) }) end
end

t.test("a message goes to all bindings", function()
  local target = t.exchange("all", { bindings = { a = "1", b = "2" } })
  t.equal(target:route({ routing_key = "3" }), { "a", "b" })
end)

t.test("a new queue gets the last messages, the oldest first, as they were", function()
  local target = exchange("as-they-were", 2)
  for i = 1, 3 do
    target:route({
      exchange = "as-they-were", routing_key = "k" .. i, body = "b" .. i, headers = { n = i }, priority = i,
    })
  end
  target:bind("new", {})
  local found = t.published()
  t.equal(#found, 2)
  t.equal(found[1], {
    exchange = "as-they-were", routing_key = "k2", body = "b2", headers = { n = 2 }, priority = 2,
    queue = "new", vhost = "/",
  })
  t.equal(found[2].body, "b3")
end)

t.test("twenty messages are remembered unless the exchange says otherwise", function()
  local target = exchange("twenty")
  fill(target, 1, 25)
  target:bind("new", {})
  t.equal(bodies(), "6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25")
end)

t.test("each exchange has a history of its own", function()
  local one, other = exchange("one", 5), exchange("other", 5)
  fill(one, 1, 2)
  other:bind("new", {})
  t.equal(bodies(), "")
end)

t.test("a message that says no-store is routed, and not remembered", function()
  local target = exchange("no-store", 5)
  t.equal(target:route({ headers = { ["x-recent-history-no-store"] = true }, body = "1" }), { "old" })
  target:route({ headers = { ["x-recent-history-no-store"] = false }, body = "2" })
  target:bind("new", {})
  t.equal(bodies(), "2")
end)

t.test("bytes are bounded, and what is too large by itself is not remembered", function()
  t.settings({ max_bytes = 8000 })
  local target = exchange("bytes", 50)
  fill(target, 1, 40)
  target:route({ body = ("x"):rep(3000) })
  target:bind("new", {})
  local found = bodies()
  t.ok(not found:find("x") and found:find("^%d+ .* 40$"), found)
  t.ok(tonumber(found:match("%d+")) > 1, found)
  t.event("exchange_deleted", { vhost = "/", name = "bytes" })
  t.settings({ max_bytes = 4194304 })
end)

t.test("the history outlives a reload, and goes with its exchange", function()
  local target = exchange("reload", 3)
  fill(target, 1, 4)
  t.reload()
  target:bind("new", {})
  t.equal(bodies(), "2 3 4")
  fill(target, 5, 5)
  target:bind("newer", {})
  t.equal(bodies(), "3 4 5")
  t.event("exchange_deleted", { vhost = "/", name = "reload" })
  target:bind("newest", {})
  t.equal(bodies(), "")
end)

t.test("a binding of before gets nothing, an exchange gets them published to it", function()
  local target = exchange("kinds", 3)
  target:route({ exchange = "kinds", routing_key = "k", body = "1" })
  target:bind("old", { key = "k", is_new = false })
  t.equal(t.published(), {})
  target:bind("next", { key = "k", destination_kind = "exchange" })
  t.equal(t.published(), { { exchange = "next", routing_key = "k", body = "1", headers = {}, vhost = "/" } })
end)

t.test("a length that is no positive integer is refused", function()
  for value, shown in pairs({ [0] = "0", [-1] = "-1", [1.5] = "1.5", many = '<<"many">>' }) do
    local _, denial = t.exchange("x", { arguments = { ["x-recent-history-length"] = value } })
    t.equal(
      denial.reason, "Invalid argument " .. shown .. ", 'x-recent-history-length' must be a positive integer")
  end
  local _, denial = t.exchange("x", { arguments = { ["x-recent-history-length"] = 501 } })
  t.equal(denial.reason, "Invalid argument 501, 'x-recent-history-length' must be at most 500")
  t.ok(t.exchange("x", { arguments = { ["x-recent-history-length"] = 500 } }))
end)
