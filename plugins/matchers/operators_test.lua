local t = require("yutu.test")

--- condition, the values that fulfil it, those that do not
local table_of_conditions = {
  { "between:10:20", { 10, 15.5, 20, "12" }, { 9.99, 21, "x", true } },
  { { between = { 10, 20 } }, { 10, 20 }, { 9, 21 } },
  { "less:10", { 9, -1, "9.5" }, { 10, "ten", null } },
  { { less = 10 }, { 9 }, { 10 } },
  { "greater:10", { 11 }, { 10 } },
  { "at_least:10", { 10, 11 }, { 9 } },
  { "at_most:10", { 10, 9 }, { 11 } },
  { { at_least = 10, less = 20 }, { 10, 19 }, { 9, 20 } },
  { "equals:5", { 5, 5.0, "5" }, { 6, "5.0" } },
  { "equals:in:x", { "in:x" }, { "x" } },
  { "equals:true", { true, "true" }, { false, 1 } },
  { "plain", { "plain" }, { "Plain", 1 } },
  { "no_operator:x", { "no_operator:x" }, { "x" } },
  { 5, { 5, 5.0 }, { "5", 6 } },
  { true, { true }, { false, "true" } },
  { "not:5", { 6, "x", true }, { 5, "5" } },
  { "not:prefix:eu-", { "us-1" }, { "eu-1" } },
  { { ["not"] = { between = { 1, 2 } } }, { 0, 3 }, { 1, 2 } },
  { "in:de,at,5", { "de", "at", 5 }, { "ch", "d", "de,at" } },
  { { ["in"] = { "de", 5 } }, { "de", 5 }, { "at", "5" } },
  { { "de", "at" }, { "de", "at" }, { "ch" } },
  { "prefix:eu-", { "eu-1", "eu-" }, { "eu", "xeu-", 5 } },
  { "suffix:.de", { "a.de", ".de" }, { "de", "a.de.at" } },
  { "glob:a*.c?", { "a.cx", "axx.cy" }, { "a.c", "ba.cx", "aXc1" } },
  { "glob:50%-[x]", { "50%-[x]" }, { "50%-x", "5" } },
  { "regex:^[a-z]+$", { "abc" }, { "Abc", "a1", "" } },
  { "cidr:10.0.0.0/8", { "10.1.2.3" }, { "11.0.0.1", "ten", 10 } },
  { "cidr:10.0.0.0/8,192.168.0.0/16", { "10.1.2.3", "192.168.9.9" }, { "192.169.0.1" } },
  { { cidr = { "fd00::/8" } }, { "fd00::1" }, { "fe80::1", "10.0.0.1" } },
  { "exists:true", { 1, "", false, null }, {} },
  { null, { 1, null }, {} },
  { "semver:>=1.2.0 <2.0.0", { "1.2.0", "1.9.9", "v1.3", "1.2.1+build.5" },
    { "1.1.9", "2.0.0", "1.2.0-rc.1", "one" } },
  { "semver:^1.4.2", { "1.4.2", "1.9.0" }, { "1.4.1", "2.0.0", "2.0.0-rc.1" } },
  { "semver:~1.4.2", { "1.4.9" }, { "1.5.0" } },
  { "semver:^0.2.3", { "0.2.9" }, { "0.3.0" } },
  { "semver:<1.0.0", { "1.0.0-alpha.2", "0.9" }, { "1.0.0" } },
  { "semver:>1.0.0-alpha.2", { "1.0.0-alpha.10", "1.0.0-beta", "1.0.0" },
    { "1.0.0-alpha", "1.0.0-alpha.2" } },
  { "semver:!=1.0.0", { "1.0.1" }, { "1.0.0", "1.0.0+b" } },
  { "date:2024-01-01..2024-06-30",
    { "2024-01-01", "2024-06-30T23:59:59Z", 1704067200, { timestamp = 1704067200 } },
    { "2024-07-01", "2023-12-31T23:59:59Z", 1704067199, "soon", "2024-02-31x" } },
  { "date:2024-02-29", { "2024-02-29T12:00", "2024-02-29T01:30:00+01:00" },
    { "2024-02-29T00:30:00+01:00", "2024-03-01" } },
  { "date:..2000-01-01", { 0, "1999-12-31", "2000-01-01" }, { "2000-01-02" } },
  { { date = "2024-01-01T12:00.." }, { "2024-01-01T12:00:00.5Z" }, { "2024-01-01T11:59:59Z" } },
}

t.test("conditions", function()
  for _, case in ipairs(table_of_conditions) do
    local shown = json.encode(case[1])
    for expected, values in pairs({ [true] = case[2], [false] = case[3] }) do
      for _, value in ipairs(values) do
        t.ok(t.matches({ h = case[1] }, { h = value }) == expected, shown .. " and " .. json.encode(value))
      end
    end
    t.ok(t.matches({ h = case[1] }, {}) == false, shown .. " and an absent header")
  end
end)

t.test("exists:false is for headers that are not there", function()
  for _, condition in ipairs({ "exists:false", { exists = false } }) do
    t.equal(t.matches({ h = condition }, {}), true)
    t.equal(t.matches({ h = condition }, { h = 1 }), false)
  end
end)

t.test("all conditions must hold, or one with x-any", function()
  local both = { ["x-match"] = "operators", price = "less:10", country = "in:de,at" }
  t.equal(t.matches(both, { price = 5, country = "de" }), true)
  t.equal(t.matches(both, { price = 5, country = "ch" }), false)
  t.equal(t.matches(both, { price = 5 }), false)
  both["x-any"] = true
  t.equal(t.matches(both, { price = 5, country = "ch" }), true)
  t.equal(t.matches(both, { price = 15, country = "ch" }), false)
  t.equal(t.matches({}, { a = 1 }), true)
  t.equal(t.matches({ ["x-any"] = true }, { a = 1 }), false)
end)

t.test("a condition that cannot be is refused, with the header's name", function()
  for reason, condition in pairs({
    ["header 'h': 'less' takes a number"] = "less:ten",
    ["header 'h': 'between' takes two numbers"] = "between:10",
    ["header 'h': there is no operator 'beneath'"] = { beneath = 5 },
    ["header 'h': 'semver' takes versions, not 'one'"] = "semver:>=1.0 one",
    ["header 'h': 'cidr' takes networks such as 10.0.0.0/8"] = "cidr:10.0.0.0/99",
    ["header 'h': 'date' takes a date or a range such as 2024-01-01..2024-06-30"] = "date:yesterday",
    ["header 'h': 'prefix' takes a text"] = { prefix = 5 },
    ["header 'h': 'not' takes a condition: 'less' takes a number"] = "not:less:ten",
    ["header 'h': 'equals' takes a text, a number or a boolean"] = { equals = { 1 } },
  }) do
    local _, denial = t.matches({ h = condition }, {})
    t.equal(denial.reason, reason)
  end
  local _, denial = t.matches({ h = "regex:(" }, {})
  t.ok(denial.reason:find("header 'h': 'regex' takes a regular expression", 1, true))
end)
