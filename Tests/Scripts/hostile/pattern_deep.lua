-- expect: runtime
-- More captures than there may be.
return ("x"):find(("("):rep(300))
