--- Conditions on a value, written as data, so that they fit into the arguments of a binding. Compiled to
--- functions from a value to a boolean; a value that is absent fulfils `exists = false` only.
local conditions = {}
local operators = require("condition_operators")

operators["not"] = function(operand)
  local test, problem = conditions.compile(operand)
  return test and function(value) return not test(value) end, "a condition: " .. tostring(problem)
end

-- What a condition says, as a list of operators and operands.
local function parts_of(condition)
  if condition == null then return { { "exists", true } } end
  if type(condition) == "string" then
    local name, operand = condition:match("^([%a_]+):(.*)$")
    return { name and (operators[name] or name == "exists") and { name, operand } or { "equals", condition } }
  end
  if type(condition) ~= "table" then return { { "equals", condition } } end
  if #condition > 0 then return { { "in", condition } } end
  local parts = {}
  for name, operand in pairs(condition) do parts[#parts + 1] = { name, operand } end
  return parts
end

--- A function from a value to whether it fulfils the condition, or nil and what is wrong with the condition.
--- That is "operator:operand", { operator = operand, … } (all must hold), a list (one must), or a value.
function conditions.compile(condition)
  local tests, absent = {}, false
  for _, part in ipairs(parts_of(condition)) do
    local name, operand = part[1], part[2]
    if name == "exists" then
      absent = operand == false or operand == "false"
    elseif not operators[name] then
      return nil, "there is no operator '" .. tostring(name) .. "'"
    else
      local test, must = operators[name](operand)
      if not test then return nil, "'" .. name .. "' takes " .. must end
      tests[#tests + 1] = test
    end
  end
  local only = tests[1]
  if #tests == 1 and not absent then return function(value) return value ~= nil and only(value) end end
  return function(value)
    if value == nil or absent then return absent and value == nil end
    for _, test in ipairs(tests) do
      if not test(value) then return false end
    end
    return true
  end
end

return conditions
