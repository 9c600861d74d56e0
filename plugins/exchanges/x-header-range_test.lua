local t = require("yutu.test")

t.test("adjacent ranges share no value", function()
  local exchange = t.exchange("x-header-range", {
    bindings = { cheap = { price = "..10" }, fair = { price = "10..20" }, dear = { price = "20.." } },
  })
  local expected = { [-5] = "cheap", [9.99] = "cheap", [10] = "fair", [19] = "fair", [20] = "dear" }
  for price, queue in pairs(expected) do
    t.equal(exchange:route({ headers = { price = price } }), { queue })
  end
  t.equal(exchange:route({ headers = { price = "15" } }), { "fair" })
  t.equal(exchange:route({ headers = { price = "much" } }), {})
  t.equal(exchange:route({}), {})
end)

t.test("every form of a condition", function()
  for _, case in ipairs({
    { "10..=20", { 10, 20 }, { 9, 21 } }, { "-5..5", { -5, 0 }, { 5 } }, { "0.5..1.5", { 0.5, 1 }, { 1.5 } },
    { ">5", { 6 }, { 5 } }, { ">= 5", { 5 }, { 4 } }, { "<5", { 4 }, { 5 } }, { "<=5", { 5 }, { 6 } },
    { "=10..20", { "10..20" }, { 15 } }, { "=5", { 5, "5" }, { 6 } }, { 5, { 5 }, { "5", 6 } },
    { "~^eu-[0-9]+$", { "eu-1" }, { "eu-", "us-1" } }, { "text", { "text" }, { "other" } },
    { "a..b", { "a..b" }, { "a" } }, { "..", { ".." }, { 1 } }, { true, { true }, { false } },
    { null, { 1, "x" }, {} },
  }) do
    local exchange = t.exchange("x-header-range", { bindings = { q = { arguments = { h = case[1] } } } })
    for _, value in ipairs(case[2]) do
      t.ok(#exchange:route({ headers = { h = value } }) == 1, tostring(case[1]) .. " and " .. tostring(value))
    end
    for _, value in ipairs(case[3]) do
      local shown = tostring(case[1]) .. " and not " .. tostring(value)
      t.ok(#exchange:route({ headers = { h = value } }) == 0, shown)
    end
  end
end)

t.test("all conditions must hold, or any", function()
  local exchange = t.exchange("x-header-range", {
    bindings = {
      all = { price = "10..20", region = "~^eu" },
      any = { ["x-match"] = "any", price = "10..20", region = "~^eu" },
      none = {}, never = { ["x-match"] = "any" },
    },
  })
  t.equal(exchange:route({ headers = { price = 15, region = "eu-1" } }), { "all", "any", "none" })
  t.equal(exchange:route({ headers = { price = 15, region = "us" } }), { "any", "none" })
  t.equal(exchange:route({ headers = { price = 25 } }), { "none" })
end)

t.test("what cannot be is refused", function()
  local exchange = t.exchange("x-header-range")
  local _, reason = exchange:bind("q", { price = ">ten" })
  t.equal(reason, "header 'price': 'greater' takes a number")
  _, reason = exchange:bind("q", { ["x-match"] = "some" })
  t.equal(reason, "x-match must be all or any")
  _, reason = exchange:bind("q", { region = "~(" })
  t.ok(reason:find("header 'region': 'regex' takes a regular expression", 1, true), reason)
end)

t.test("one of five hundred ranges is found", function()
  local exchange = t.exchange("x-header-range")
  for i = 1, 500 do exchange:bind("q" .. i, { price = i .. ".." .. i + 1, region = "eu" }) end
  t.equal(exchange:route({ headers = { price = 77, region = "eu" } }), { "q77" })
end)
