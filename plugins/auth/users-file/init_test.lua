local t = require("yutu.test")
local users = require("users")

for name, user in pairs(users) do
  t.test("the user '" .. tostring(name) .. "' is well-formed", function()
    t.equal(type(name), "string")
    t.equal(type(user.password_hash), "string")
    for field in pairs(user) do
      local known = { password_hash = true, tags = true, permissions = true, as = true }
      t.ok(known[field], "unknown field " .. field)
    end
  end)
end

local ann = {
  password_hash = password.hash("secret"),
  tags = { "monitoring" },
  permissions = { ["/"] = { configure = "", write = "^ann%.", read = ".*" } },
  as = { tenant = "acme" },
}
users["test: ann"] = ann

t.test("the right password lets a user in, with all that the file says", function()
  t.equal(t.login({ user = "test: ann", password = "secret" }), {
    verdict = "allow", tags = ann.tags, permissions = ann.permissions, as = ann.as,
  })
end)

t.test("a wrong password ends the login", function()
  for _, wrong in ipairs({ "Secret", "", "secret " }) do
    t.equal(t.login({ user = "test: ann", password = wrong }).reason, "wrong password for 'test: ann'")
  end
end)

t.test("a mechanism without a password is no way in", function()
  t.equal(t.login({ mechanism = "EXTERNAL", user = "test: ann" }).verdict, "deny")
end)

t.test("about a user that the file does not have, the next is asked", function()
  t.equal(t.login({ user = "test: bob", password = "secret" }), nil)
end)
