local t = require("yutu.test")

t.settings({
  schemas = {
    orders = {
      type = "object",
      required = { "id", "items" },
      properties = {
        id = { type = "string", pattern = "^[A-Z]{2}[0-9]+$" },
        email = { type = "string", minLength = 3, maxLength = 12 },
        country = { enum = { "DE", "AT", 5 } },
        total = { type = "number", minimum = 0, maximum = 1000 },
        count = { type = "integer" },
        note = { type = { "string", "null" } },
        items = {
          type = "array", minItems = 1, maxItems = 3,
          items = { type = "object", required = { "sku" }, properties = { sku = { type = "string" } } },
        },
      },
    },
    ["orders.*"] = { type = "array" },
    ["orders.strict"] = { title = "no more", properties = { a = {} }, additionalProperties = false },
  },
  keys = { ["events.#*"] = { type = "boolean" } },
})

local function reason(body, exchange, key)
  local verdict = t.publish({ exchange = exchange or "orders", routing_key = key, body = body })
  return verdict and verdict.reason
end

local good = '{"id":"DE1","items":[{"sku":"a"}]%s}'

for body, problem in pairs({
  [good:format("")] = false,
  [good:format(',"more":1,"note":null')] = false,
  [good:format(',"total":1000,"count":3,"country":5')] = false,
  [good:format(',"count":3.0,"note":"x","email":"äöü"')] = false,
  ["[]"] = "body.id is missing",
  ["[1]"] = "body must be object",
  ['"x"'] = "body must be object",
  ["{"] = "the body is no JSON",
  [""] = "the body is no JSON",
  ['{"items":[{"sku":"a"}]}'] = "body.id is missing",
  ['{"id":"de1","items":[{"sku":"a"}]}'] = "body.id must match ^[A-Z]{2}[0-9]+$",
  ['{"id":"DE1","items":[]}'] = "body.items must have at least 1 elements",
  ['{"id":"DE1","items":[{},{},{},{}]}'] = {
    "body.items must have at most 3 elements", "body.items[0].sku is missing",
  },
  ['{"id":"DE1","items":[{"sku":"a"},{"sku":1}]}'] = "body.items[1].sku must be string",
  [good:format(',"total":-0.5')] = "body.total must be at least 0",
  [good:format(',"total":1000.5')] = "body.total must be at most 1000",
  [good:format(',"total":"5"')] = "body.total must be number",
  [good:format(',"count":1.5')] = "body.count must be integer",
  [good:format(',"country":"FR"')] = "body.country must be one of DE, AT, 5",
  [good:format(',"note":5')] = "body.note must be string or null",
  [good:format(',"email":"a@"')] = "body.email must have at least 3 characters",
  [good:format(',"email":"a@b.example.org"')] = "body.email must have at most 12 characters",
}) do
  t.test(body, function()
    local found = reason(body) or false
    if type(problem) == "table" then
      t.ok(found == problem[1] or found == problem[2], tostring(found))
    else
      t.equal(found, problem)
    end
  end)
end

t.test("the longest glob that matches the exchange counts", function()
  t.equal(reason("[]", "orders.eu"), nil)
  t.equal(reason("true", "orders.eu"), "body must be array")
  t.equal(reason('{"a":1}', "orders.strict"), nil)
  t.equal(reason('{"b":1}', "orders.strict"), "body.b is not allowed")
end)

t.test("a routing key may say which schema, where the exchange does not", function()
  t.equal(reason("5", "other", "events.#x"), "body must be boolean")
  t.equal(reason("5", "orders.eu", "events.#x"), "body must be array")
  t.equal(reason("no JSON", "other", "x"), nil)
end)

t.test("a body that is too large is refused unread", function()
  t.settings({ max_bytes = 10 })
  t.equal(reason(good:format("")), "a body of 34 bytes; at most 10")
  t.settings({ max_bytes = 8192 })
end)
