--- Bindings of a headers exchange that say more than "equals": x-match = "operators", and a condition for
--- each header, such as price = "between:10:20" or price = { at_least = 10, less = 20 }.
--- All conditions must hold, or one if the binding says x-any = true.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "conditions on headers: ranges, lists, patterns, networks, versions, dates",
}

local conditions = require("conditions")

plugin.matcher = {
  bind = function(arguments)
    local kept = { any = arguments["x-any"] == true }
    for name, condition in pairs(arguments) do
      if name:sub(1, 2) ~= "x-" then
        local test, problem = conditions.compile(condition)
        if not test then return deny("header '" .. name .. "': " .. problem) end
        kept[#kept + 1] = { name = name, test = test }
      end
    end
    return kept
  end,

  match = function(headers, kept)
    local any = kept.any
    for i = 1, #kept do
      if kept[i].test(headers[kept[i].name]) == any then return any end
    end
    return not any
  end,
}

return plugin
