-- expect: runtime
-- A table in itself.
local t = {}
t.t = t
return json.encode(t)
