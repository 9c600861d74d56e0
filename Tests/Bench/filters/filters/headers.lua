--- Reads two headers of what goes to exchanges of the bench's own.
---@type yutu.Plugin
return {
  api = 1,
  about = "reads two headers",
  filters = {
    publish = {
      match = { exchange = "?*" },
      run = function(message)
        local headers = message.headers
        if headers.kind == "b" or headers.idx == "none" then return deny("forbidden") end
      end,
    },
  },
}
