--- What conditions say of values, by name: a function that makes a test of an operand, or returns nil and
--- what the operand must be. A test is a function from a value that is there to a boolean.
local dates, glob, semver = require("dates"), require("glob"), require("semver")
local operators = {}

-- A text is compared as text, and as the number that it reads as.
local function same(value, operand)
  if value == operand then return true end
  if type(operand) ~= "string" or type(value) == "table" or type(value) == "string" then return false end
  return tostring(value) == operand or type(value) == "number" and tonumber(operand) == value
end

-- Numbers are most, and need no conversion.
local function number_of(value)
  if type(value) == "number" then return value end
  return tonumber(value)
end

local function compared(test)
  return function(operand)
    local limit = tonumber(operand)
    if not limit then return nil, "a number" end
    return function(value)
      local number = number_of(value)
      return number ~= nil and test(number, limit)
    end
  end
end

local function on_texts(make)
  return function(operand)
    if type(operand) ~= "string" then return nil, "a text" end
    local test, must = make(operand)
    return test and function(value) return type(value) == "string" and test(value) end, must
  end
end

-- "a,b" or {"a", "b"}
local function list_of(operand, separator)
  if type(operand) ~= "string" then return type(operand) == "table" and #operand > 0 and operand or nil end
  local list = {}
  for part in (operand .. separator):gmatch("([^" .. separator .. "]*)" .. separator) do
    list[#list + 1] = part
  end
  return list
end

function operators.equals(operand)
  if type(operand) == "table" then return nil, "a text, a number or a boolean" end
  return function(value) return same(value, operand) end
end
operators.less = compared(function(a, b) return a < b end)
operators.greater = compared(function(a, b) return a > b end)
operators.at_most = compared(function(a, b) return a <= b end)
operators.at_least = compared(function(a, b) return a >= b end)

function operators.between(operand)
  local ends = list_of(operand, ":")
  local low, high = tonumber(ends and ends[1]), tonumber(ends and ends[2])
  if not low or not high or #ends ~= 2 then return nil, "two numbers" end
  return function(value)
    local number = number_of(value)
    return number ~= nil and number >= low and number <= high
  end
end

operators["in"] = function(operand)
  local list = list_of(operand, ",")
  if not list then return nil, "a list" end
  return function(value)
    for _, item in ipairs(list) do
      if same(value, item) then return true end
    end
    return false
  end
end

operators.prefix = on_texts(function(start) return function(text) return text:sub(1, #start) == start end end)
operators.suffix = on_texts(function(tail)
  return function(text) return #text >= #tail and text:sub(#text - #tail + 1) == tail end
end)
operators.glob = on_texts(glob)
operators.regex = on_texts(function(pattern)
  local fine, reason = pcall(regex.match, pattern, "")
  if not fine then return nil, "a regular expression: " .. tostring(reason) end
  return function(text) return regex.match(pattern, text) end
end)
operators.semver = on_texts(function(text)
  local test, part = semver.constraint(text)
  return test, "versions, not '" .. tostring(part) .. "'"
end)

function operators.cidr(operand)
  local list = list_of(operand, ",")
  for _, network in ipairs(list or {}) do
    if not pcall(net.in_cidr, "0.0.0.0", network) then list = nil end
  end
  if not list then return nil, "networks such as 10.0.0.0/8" end
  return function(value)
    for _, network in ipairs(list) do
      if type(value) == "string" and net.in_cidr(value, network) then return true end
    end
    return false
  end
end

function operators.date(operand)
  local range = type(operand) == "string" and dates.range(operand)
  if not range then return nil, "a date or a range such as 2024-01-01..2024-06-30" end
  return function(value)
    local seconds = dates.seconds(value)
    return seconds ~= nil and range(seconds)
  end
end

return operators
