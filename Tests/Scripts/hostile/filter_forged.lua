-- expect: runtime
-- A verdict made by hand, with numbers where texts belong.
return { filters = { publish = { run = function()
  local v = deny("x")
  v.verdict = 1
  return v
end } } }
