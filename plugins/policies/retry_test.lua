local t = require("yutu.test")

local function wait(count, more)
  local death = { count = count }
  for name, value in pairs(more or {}) do death[name] = value end
  local verdict = t.dead_letter({ queue = "q" }, death)
  return verdict and verdict.milliseconds
end

t.test("each delay is twice the one before, and after five the message dies", function()
  for count, expected in ipairs({ 1000, 2000, 4000, 8000, 16000 }) do t.equal(wait(count), expected) end
  t.equal(wait(6), nil)
end)

t.test("no delay is longer than the longest", function()
  t.settings({ tries = 1000, longest = 30000 })
  t.equal(wait(6), 30000)
  t.equal(wait(1000), 30000)
  t.settings({ tries = 5, longest = 600000 })
end)

t.test("only what was rejected comes back, unless the operator says otherwise", function()
  for _, reason in ipairs({ "expired", "maxlen", "delivery_limit" }) do
    t.equal(wait(1, { reason = reason }), nil)
  end
end)

t.test("queues that are not named let their messages die", function()
  t.settings({ queues = { "orders.*" } })
  t.equal(wait(1), nil)
  t.equal(wait(1, { queue = "orders.eu" }), 1000)
  t.settings({ queues = { "*" } })
end)

t.test("a part of the delay may be random", function()
  t.settings({ spread = 0.5 })
  local least, most = 1000, 0
  for _ = 1, 200 do least, most = math.min(least, wait(1)), math.max(most, wait(1)) end
  t.ok(least >= 500 and least < 600 and most > 900 and most <= 1000, least .. " to " .. most)
  t.settings({ spread = 0 })
end)
