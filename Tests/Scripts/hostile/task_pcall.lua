-- expect: instructions|time
-- Catches around a wait what ends it after the wait.
return { events = { go = function()
  while true do pcall(function() sleep(0) while true do pcall(error) end end) end
end } }
