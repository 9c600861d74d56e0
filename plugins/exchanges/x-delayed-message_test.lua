local t = require("yutu.test")

local function exchange(kind, bindings)
  return t.exchange("x-delayed-message", { arguments = { ["x-delayed-type"] = kind }, bindings = bindings })
end

t.test("a message waits for the milliseconds in x-delay, which is negated then", function()
  local direct = exchange("direct", { q = "k" })
  for _, wanted in ipairs({ 5000, "5000", 5000.7 }) do
    local verdict = direct:route({ routing_key = "k", headers = { ["x-delay"] = wanted } })
    t.equal(verdict, { verdict = "delay", milliseconds = 5000, change = { headers = { ["x-delay"] = -5000 } } })
  end
end)

t.test("a message that waited is routed", function()
  local direct = exchange("direct", { q = "k" })
  t.equal(direct:route({ routing_key = "k", headers = { ["x-delay"] = 5000 }, delayed = 5000 }), { "q" })
end)

t.test("a message with no delay, or none that can be, is routed at once", function()
  local direct = exchange("direct", { q = "k" })
  for _, wanted in ipairs({ 0, -1, -5000, 0.5, "soon", "", true, null, {}, 4294967296 }) do
    t.equal(direct:route({ routing_key = "k", headers = { ["x-delay"] = wanted } }), { "q" })
  end
  t.equal(direct:route({ routing_key = "k" }), { "q" })
  t.equal(direct:route({ routing_key = "other" }), {})
end)

t.test("the longest delay is 2^32 - 1 milliseconds", function()
  local verdict = exchange("fanout"):route({ headers = { ["x-delay"] = 4294967295 } })
  t.equal(verdict.milliseconds, 4294967295)
end)

t.test("the type decides where a message goes", function()
  local bindings = { star = "a.*", exact = "a.b", hash = "#" }
  t.equal(exchange("topic", bindings):route({ routing_key = "a.b" }), { "exact", "hash", "star" })
  t.equal(exchange("direct", bindings):route({ routing_key = "a.b" }), { "exact" })
  t.equal(exchange("fanout", bindings):route({ routing_key = "c" }), { "exact", "hash", "star" })
end)

t.test("the type headers looks at headers, and checks x-match", function()
  local headers = exchange("headers", {
    all = { arguments = { ["x-match"] = "all", a = 1, b = 2 } },
    any = { arguments = { ["x-match"] = "any", a = 1, b = 2 } },
    default = { arguments = { a = 1 } },
  })
  t.equal(headers:route({ headers = { a = 1 } }), { "any", "default" })
  t.equal(headers:route({ headers = { a = 1, b = 2 } }), { "all", "any", "default" })
  local _, reason = headers:bind("q", { arguments = { ["x-match"] = "some" } })
  t.equal(reason, "Invalid x-match field value; expected all, any, all-with-x, or any-with-x")
  t.ok(exchange("direct"):bind("q", { arguments = { ["x-match"] = "some" } }))
end)

t.test("an exchange without a proper x-delayed-type is refused", function()
  local must_exist = "Invalid argument, 'x-delayed-type' must be an existing exchange type"
  for kind, text in pairs({
    ["x-delayed-message"] = "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'",
    [5] = must_exist, [true] = must_exist, unheard = "unknown exchange type 'unheard'",
  }) do
    local _, denial = exchange(kind)
    t.equal(denial.reason, text)
  end
  local _, denial = exchange(nil)
  t.equal(denial.reason, must_exist)
end)
