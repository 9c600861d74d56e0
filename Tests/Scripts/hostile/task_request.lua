-- expect: memory|instructions|time|runtime
-- A request that is too large to be written.
return { events = { go = function()
  local headers = setmetatable({}, { __index = function() while true do end end })
  for i = 1, 1e6 do headers["h" .. i] = "x" end
  http.request{ url = "http://127.0.0.1/", headers = headers }
end } }
