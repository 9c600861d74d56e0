--- Paths into decoded JSON: "card.number", "items.0.sku" (arrays count from 0), "items.*.sku" (all elements).
local paths = {}

--- The parts of a path.
function paths.split(text)
  local parts = {}
  for part in text:gmatch("[^.]+") do parts[#parts + 1] = part end
  return parts
end

--- The key of a table that a part names, or nil.
function paths.key(value, part)
  if value[part] ~= nil then return part end
  local index = part:find("^%d+$") and tonumber(part) + 1
  return index and value[index] ~= nil and index or nil
end

--- What stands at the path, or nil; a path of no stars.
function paths.get(value, parts)
  for i = 1, #parts do
    if type(value) ~= "table" then return nil end
    local key = paths.key(value, parts[i])
    if key == nil then return nil end
    value = value[key]
  end
  return value
end

--- Calls f(table, key) for each place that the path leads to, and returns how many there are.
function paths.visit(value, parts, f, at)
  at = at or 1
  if type(value) ~= "table" then return 0 end
  local count = 0
  local function step(key)
    if at < #parts then
      count = count + paths.visit(value[key], parts, f, at + 1)
    else
      f(value, key)
      count = count + 1
    end
  end
  if parts[at] ~= "*" then
    local key = paths.key(value, parts[at])
    if key ~= nil then step(key) end
    return count
  end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  for _, key in ipairs(keys) do step(key) end
  return count
end

return paths
