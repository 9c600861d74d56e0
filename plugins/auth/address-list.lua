--- Looks at where a login comes from before anyone looks at who it is: networks that are let in, networks
--- that are not, and a limit on the logins of one address. Lets nobody in by itself: it stands first.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "networks that may log in, and how often an address may try",
  enabled = false,
  settings = {
    allow = { default = {}, type = "list", about = "networks that may log in; all if there is none" },
    deny = { default = {}, type = "list", about = "networks that may not, whatever `allow` says" },
    unlimited = { default = { "127.0.0.0/8", "::1/128" }, type = "list", about = "networks without a limit" },
    logins_a_minute = { default = 60, min = 0, about = "of one address, in the long run; 0: no limit" },
    burst = { default = 20, min = 1, type = "number", about = "of one address, at once" },
    addresses = { default = 100000, type = "integer", min = 100, max = 1000000, about = "that are counted" },
  },
}

local function is_in(address, networks)
  for _, network in ipairs(networks) do
    if net.in_cidr(address, network) then return true end
  end
  return false
end

function plugin.authenticate(login)
  local address = login.peer.address
  if is_in(address, settings.deny) then return deny("the address " .. address .. " is on the list `deny`") end
  if #settings.allow > 0 and not is_in(address, settings.allow) then
    return deny("the address " .. address .. " is not on the list `allow`")
  end
  if settings.logins_a_minute <= 0 or is_in(address, settings.unlimited) then return end
  local logins = shared("address-list", settings.addresses)
  local taken, seconds = logins:take(address, settings.logins_a_minute / 60, settings.burst)
  if not taken then
    return deny(("too many logins from %s; the next in %.1f seconds"):format(address, seconds))
  end
end

return plugin
