-- expect: runtime
-- A change that holds itself.
return { filters = { publish = { run = function()
  local v = change{}
  v.headers = { v }
  return v
end } } }
