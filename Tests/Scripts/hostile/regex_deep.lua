-- expect: runtime
-- Groups, ten thousand deep.
return regex.match(("("):rep(10000), "a")
