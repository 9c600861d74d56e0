-- expect: memory|instructions|time
-- Catches the lack of memory and goes on.
local t = {}
while true do
  pcall(function() while true do t[#t + 1] = string.rep("x", 100000) .. #t end end)
end
