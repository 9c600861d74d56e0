-- expect: runtime
-- Parentheses, ten thousand deep.
local f, reason = load(("("):rep(10000) .. "1" .. (")"):rep(10000))
error(reason)
