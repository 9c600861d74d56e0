-- expect: runtime
-- Headers that hold themselves.
local headers = {}
headers.headers = headers
publish{ queue = "q", headers = headers }
