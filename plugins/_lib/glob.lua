--- Globs: * is any text, ? any one character. glob(pattern) returns a function from a text to a boolean;
--- glob.any(list) one that asks whether any of them matches.
local glob = {}

local function compile(text)
  if text == "*" then return function() return true end end
  local pattern = "^" .. text:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*+", ".*"):gsub("%?", ".") .. "$"
  return function(value) return value:find(pattern) ~= nil end
end

function glob.any(list)
  local tests = {}
  for i, text in ipairs(list) do tests[i] = compile(text) end
  return function(value)
    for _, test in ipairs(tests) do
      if test(value) then return true end
    end
    return false
  end
end

return setmetatable(glob, { __call = function(_, text) return compile(text) end })
