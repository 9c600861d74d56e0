local t = require("yutu.test")

local exchange = t.exchange("x-reverse-topic", {
  bindings = {
    server1 = "dc1.rack1.server1", server2 = "dc1.rack1.server2", server3 = "dc1.rack2.server3",
    server4 = "dc2.rack1.server4", dc1 = "dc1", none = "", odd = "dc1..x",
  },
})

for pattern, expected in pairs({
  ["dc1.rack1.server1"] = { "server1" },
  ["dc1.rack1.*"] = { "server1", "server2" },
  ["dc1.*.*"] = { "odd", "server1", "server2", "server3" },
  ["dc1.#"] = { "dc1", "odd", "server1", "server2", "server3" },
  ["*.rack1.#"] = { "server1", "server2", "server4" },
  ["#.server4"] = { "server4" },
  ["dc1.#.#.server3"] = { "server3" },
  ["#.rack1.#"] = { "server1", "server2", "server4" },
  ["#"] = { "dc1", "none", "odd", "server1", "server2", "server3", "server4" },
  ["*"] = { "dc1" },
  [""] = { "none" },
  ["dc1..x"] = { "odd" },
  ["dc1..*"] = { "odd" },
  ["dc3.#"] = {},
  ["dc1.rack1"] = {},
  ["dc1.rack1.server1.*"] = {},
}) do
  t.test("the pattern '" .. pattern .. "'", function()
    t.equal(exchange:route({ routing_key = pattern }), expected)
  end)
end

t.test("stars and hashes in a binding key are plain words", function()
  local plain = t.exchange("plain", { bindings = { star = "a.*", hash = "#" } })
  t.equal(plain:route({ routing_key = "a.b" }), {})
  t.equal(plain:route({ routing_key = "*.*" }), { "star" })
end)

t.test("a pattern of many hashes ends soon", function()
  local deep = t.exchange("deep", { bindings = { q = ("a."):rep(30) .. "b" } })
  t.equal(deep:route({ routing_key = ("#."):rep(30) .. "c" }), {})
  t.equal(deep:route({ routing_key = ("#."):rep(30) .. "b" }), { "q" })
end)
