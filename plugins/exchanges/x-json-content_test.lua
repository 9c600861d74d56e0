local t = require("yutu.test")

local function body(value) return { body = json.encode(value) } end

local exchange = t.exchange("x-json-content", {
  bindings = {
    german = { ["order.country"] = "DE" },
    german_web = { ["order.country"] = "DE", channel = "web" },
    either = { ["x-match"] = "any", ["order.country"] = "DE", channel = "web" },
    alps = { ["order.country"] = { "AT", "CH" } },
    first = { ["items.0.sku"] = "A1" },
    vip = { ["customer.vip"] = true },
    ten = { total = 10 },
    noted = { arguments = { note = null } },
  },
})

for text, expected in pairs({
  ['{"order":{"country":"DE"}}'] = { "either", "german" },
  ['{"order":{"country":"DE"},"channel":"web"}'] = { "either", "german", "german_web" },
  ['{"order":{"country":"FR"},"channel":"web"}'] = { "either" },
  ['{"order":{"country":"CH"}}'] = { "alps" },
  ['{"items":[{"sku":"A1"},{"sku":"B2"}]}'] = { "first" },
  ['{"items":[{"sku":"B2"},{"sku":"A1"}]}'] = {},
  ['{"items":{"0":{"sku":"A1"}}}'] = { "first" },
  ['{"customer":{"vip":true}}'] = { "vip" },
  ['{"customer":{"vip":"true"}}'] = {},
  ['{"total":10}'] = { "ten" },
  ['{"total":10.0}'] = { "ten" },
  ['{"total":"10"}'] = {},
  ['{"note":null}'] = { "noted" },
  ['{"note":{}}'] = { "noted" },
  ['{"order":"DE"}'] = {},
  ['[1,2]'] = {},
  ['"DE"'] = {},
}) do
  t.test(text, function() t.equal(exchange:route({ body = text }), expected) end)
end

t.test("a body that is no JSON is unroutable", function()
  for _, text in ipairs({ "", "DE", "{", '{"order":', "\0\1" }) do
    t.equal(exchange:route({ body = text }), {})
  end
end)

t.test("a binding without conditions takes every JSON body, with x-match any none", function()
  local open = t.exchange("open", { bindings = { all = {}, any = { ["x-match"] = "any" } } })
  t.equal(open:route(body({ a = 1 })), { "all" })
end)

t.test("a body that is too large is refused", function()
  t.settings({ max_bytes = 100 })
  local verdict = exchange:route({ body = '"' .. ("x"):rep(200) .. '"' })
  t.equal(verdict.reason, "a JSON body of more than 100 bytes")
  t.settings({ max_bytes = 16384 })
end)

t.test("one of five hundred bindings is found for a body of five hundred parts", function()
  local many, items = t.exchange("many"), {}
  for i = 1, 500 do many:bind("q" .. i, { ["order.id"] = i, channel = "web" }) end
  for i = 1, 500 do items[i] = { sku = "A" .. i, n = i } end
  local text = json.encode({ order = { id = 77 }, channel = "web", items = items })
  t.ok(#text > 8000 and #text < 16384, #text)
  t.equal(many:route({ body = text }), { "q77" })
end)

t.test("what cannot be is refused", function()
  local _, reason = exchange:bind("q", { ["x-match"] = "some" })
  t.equal(reason, "x-match must be all or any")
  _, reason = exchange:bind("q", { arguments = { a = { b = 1 } } })
  t.equal(reason, "'a' must be a value or a list")
end)
