local t = require("yutu.test")

local exchange = t.exchange("x-price-range", {
  bindings = { cheap = { min = 0, max = 10 }, dear = { min = 10, max = 1e9 } },
})

local function order(price)
  return { headers = { price = price, currency = "EUR" } }
end

t.test("a price on the border goes to the upper range", function()
  t.equal(exchange:route(order(10)), { "dear" })
end)

t.test("a price with cents goes to the range that holds it", function()
  t.equal(exchange:route(order(9.99)), { "cheap" })
end)

t.test("a price outside all ranges goes nowhere", function()
  t.equal(exchange:route(order(-1)), {})
end)
