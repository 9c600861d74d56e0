--- Globs: * is any text, ? any one character. glob(pattern) returns a function from a text to a boolean;
--- glob.any(list, text) says whether any of a list's globs matches.
local glob = {}

local function compile(text)
  if text == "*" then return function() return true end end
  local pattern = "^" .. text:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*+", ".*"):gsub("%?", ".") .. "$"
  return function(value) return value:find(pattern) ~= nil end
end

-- Lists, such as settings, stay: each is compiled once.
local compiled = setmetatable({}, { __mode = "k" })

function glob.any(list, text)
  local tests = compiled[list]
  if not tests then
    tests = {}
    for i, pattern in ipairs(list) do tests[i] = compile(pattern) end
    compiled[list] = tests
  end
  for i = 1, #tests do
    if tests[i](text) then return true end
  end
  return false
end

return setmetatable(glob, { __call = function(_, text) return compile(text) end })
