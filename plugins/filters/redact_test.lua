local t = require("yutu.test")

t.settings({
  headers = { "authorization", "x-secret" },
  fields = { "card.number", "items.*.price", "items.0.note", "tags.1" },
})

local function body(text, mask)
  t.settings({ mask = mask or "***" })
  local verdict = t.publish({ body = text })
  return verdict and verdict.body
end

local function same(text, expected)
  t.equal(json.decode(text), json.decode(expected))
end

t.test("headers are masked, the others stay as they are", function()
  local verdict = t.publish({ headers = { authorization = "Bearer x", other = 1 } })
  t.equal(verdict, { verdict = "change", headers = { authorization = "***" }, remove = {} })
end)

t.test("or removed", function()
  t.settings({ mask = "" })
  t.equal(t.publish({ headers = { authorization = "x", other = 1 } }).remove, { "authorization" })
end)

t.test("fields of the body are masked, wherever the path leads", function()
  same(body('{"card":{"number":"4111","name":"A"}}'), '{"card":{"number":"***","name":"A"}}')
  same(body('{"items":[{"price":1,"note":"a"},{"price":2,"note":"b"}]}'),
    '{"items":[{"price":"***","note":"***"},{"price":"***","note":"b"}]}')
  same(body('{"card":{"number":{"deep":1}}}'), '{"card":{"number":"***"}}')
end)

t.test("or removed; an array keeps its length", function()
  same(body('{"card":{"number":"4111","name":"A"}}', ""), '{"card":{"name":"A"}}')
  same(body('{"tags":["a","b","c"]}', ""), '{"tags":["a",null,"c"]}')
end)

t.test("the last characters of a long text may stay", function()
  t.settings({ keep_last = 4 })
  same(body('{"card":{"number":"4111111111111234"}}'), '{"card":{"number":"***1234"}}')
  same(body('{"card":{"number":"12345678"}}'), '{"card":{"number":"***"}}')
  same(body('{"card":{"number":41111111111}}'), '{"card":{"number":"***"}}')
  t.settings({ keep_last = 0 })
end)

t.test("what holds nothing of the kind is not touched", function()
  for _, text in ipairs({ '{"card":{}}', '{"card":"4111"}', "[1,2]", '"x"', "no JSON", "" }) do
    t.equal(body(text), nil)
  end
end)

t.test("a body that is too large to look at is refused", function()
  t.settings({ max_bytes = 10 })
  t.equal(t.publish({ body = '{"a":"123456"}' }).reason, "a body of 14 bytes; at most 10 can be redacted")
  t.settings({ max_bytes = 8192 })
end)

t.test("names choose exchanges or queues", function()
  t.settings({ names = { "orders*" }, mask = "***" })
  t.equal(t.publish({ exchange = "other", headers = { authorization = "x" } }), nil)
  t.ok(t.publish({ exchange = "orders.eu", headers = { authorization = "x" } }))
  t.settings({ stage = "deliver" })
  t.equal(t.deliver({ exchange = "orders", queue = "q", headers = { authorization = "x" } }), nil)
  t.ok(t.deliver({ queue = "orders", headers = { authorization = "x" } }))
  t.settings({ names = { "*" }, stage = "publish" })
end)

t.test("on publish consumers' copies are not looked at, and the other way round", function()
  local message = { queue = "q", headers = { authorization = "x" } }
  t.equal(t.deliver(message), nil)
  t.settings({ stage = "deliver", mask = "***" })
  t.equal(t.deliver(message).headers, { authorization = "***" })
  t.equal(t.publish({ headers = { authorization = "x" } }), nil)
end)
