local t = require("yutu.test")

local function from(address) return t.login({ peer = { address = address } }) end

t.test("without lists everyone is passed on to the next in the chain", function()
  t.equal(from("203.0.113.7"), nil)
  t.equal(from("2001:db8::1"), nil)
end)

t.test("the list `deny` denies, also what `allow` allows", function()
  t.settings({ allow = { "10.0.0.0/8", "fd00::/8" }, deny = { "10.6.6.0/24" } })
  t.equal(from("10.1.2.3"), nil)
  t.equal(from("fd00::5"), nil)
  t.equal(from("10.6.6.1").reason, "the address 10.6.6.1 is on the list `deny`")
  t.equal(from("192.168.0.1").reason, "the address 192.168.0.1 is not on the list `allow`")
  t.equal(from("::1").verdict, "deny")
  t.settings({ allow = {}, deny = {} })
end)

t.test("an address may try so often at once, and then as time goes by", function()
  t.settings({ logins_a_minute = 6, burst = 3 })
  for _ = 1, 3 do t.equal(from("198.51.100.1"), nil) end
  t.equal(from("198.51.100.1").reason, "too many logins from 198.51.100.1; the next in 10.0 seconds")
  t.equal(from("198.51.100.2"), nil)
  t.advance(10)
  t.equal(from("198.51.100.1"), nil)
  t.equal(from("198.51.100.1").verdict, "deny")
end)

t.test("some networks have no limit, and zero is none for all", function()
  t.settings({ logins_a_minute = 6, burst = 1 })
  for _ = 1, 10 do
    t.equal(from("127.0.0.1"), nil)
    t.equal(from("::1"), nil)
  end
  t.settings({ logins_a_minute = 0 })
  for _ = 1, 10 do t.equal(from("198.51.100.9"), nil) end
end)
