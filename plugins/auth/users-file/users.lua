--- The users that the plugin users-file knows: a table by name. A hash of a password is made by
--- `rabbitmqctl hash_password`, or as docs/plugins/users-file.md shows.
return {
  -- ["alice"] = {
  --   password_hash = "…",
  --   tags = { "administrator" },
  --   permissions = { ["/"] = { configure = ".*", write = ".*", read = ".*" } },
  --   as = { tenant = "acme" },
  -- },
}
