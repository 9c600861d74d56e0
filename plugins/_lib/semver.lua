--- Semantic versions (semver.org 2.0): comparing them, and constraints such as ">=1.2 <2.0.0" or "^1.4.2".
local semver = {}

--- A version as a table, or nil. A leading "v" and a missing minor or patch are allowed.
function semver.parse(text)
  local core, rest = text:match("^v?([%d.]+)(.*)$")
  if not core then return nil end
  local version = {}
  for part in (core .. "."):gmatch("([^.]*)%.") do
    if part == "" then return nil end
    version[#version + 1] = tonumber(part)
  end
  if #version > 3 then return nil end
  for i = #version + 1, 3 do version[i] = 0 end
  local release = rest:match("^%-([%w.-]+)") or ""
  local build = rest:sub(release == "" and 1 or #release + 2)
  if build ~= "" and not build:find("^%+[%w.-]+$") then return nil end
  version.release = {}
  for part in release:gmatch("[^.]+") do table.insert(version.release, part) end
  return version
end

local function compare_parts(a, b)
  local x, y = tonumber(a), tonumber(b)
  if x and y then return x < y and -1 or x > y and 1 or 0 end
  if x or y then return x and -1 or 1 end
  return a < b and -1 or a > b and 1 or 0
end

--- -1, 0 or 1, as the specification orders them; a pre-release comes before its release.
function semver.compare(a, b)
  for i = 1, 3 do
    if a[i] ~= b[i] then return a[i] < b[i] and -1 or 1 end
  end
  local one, other = a.release, b.release
  if #one == 0 or #other == 0 then return #one == #other and 0 or #one == 0 and 1 or -1 end
  for i = 1, math.max(#one, #other) do
    if one[i] == nil or other[i] == nil then return one[i] == nil and -1 or 1 end
    local order = compare_parts(one[i], other[i])
    if order ~= 0 then return order end
  end
  return 0
end

local tests = {
  ["="] = function(order) return order == 0 end,
  ["!="] = function(order) return order ~= 0 end,
  [">"] = function(order) return order > 0 end,
  [">="] = function(order) return order >= 0 end,
  ["<"] = function(order) return order < 0 end,
  ["<="] = function(order) return order <= 0 end,
}
tests[""] = tests["="]

-- The first version that a caret or a tilde no longer allows.
local function next_of(sign, version)
  local at = sign == "~" and 2 or version[1] > 0 and 1 or version[2] > 0 and 2 or 3
  local upper = { 0, 0, 0, release = { "0" } }
  for i = 1, at do upper[i] = version[i] end
  upper[at] = upper[at] + 1
  return upper
end

--- A function from a version's text to a boolean, or nil and the part that is wrong. Parts that are separated
--- by spaces must all hold: = != > >= < <= ^ ~ and a version.
function semver.constraint(text)
  local checks = {}
  for part in text:gmatch("%S+") do
    local sign, rest = part:match("^([=!<>^~]*)(.*)$")
    local version = semver.parse(rest)
    local ranged = sign == "^" or sign == "~"
    if not version or not (tests[sign] or ranged) then return nil, part end
    checks[#checks + 1] = { tests[ranged and ">=" or sign], version }
    if ranged then checks[#checks + 1] = { tests["<"], next_of(sign, version) } end
  end
  if #checks == 0 then return nil, text end
  return function(value)
    local version = semver.parse(value)
    if not version then return false end
    for _, check in ipairs(checks) do
      if not check[1](semver.compare(version, check[2])) then return false end
    end
    return true
  end
end

return semver
