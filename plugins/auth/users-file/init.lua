--- Logs in the users in the file users.lua beside this one: hashes of passwords, tags, permissions, and what
--- scripts get to see of them. Saving that file puts it in force.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "users, tags and permissions from a file",
  enabled = false,
}

local users = require("users")

function plugin.authenticate(login)
  local user = users[login.user]
  if not user then return end
  if not login.password or not password.check(user.password_hash, login.password) then
    return deny("wrong password for '" .. login.user .. "'")
  end
  return allow({ tags = user.tags, permissions = user.permissions, as = user.as })
end

return plugin
