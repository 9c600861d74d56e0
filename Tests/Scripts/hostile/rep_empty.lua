-- expect: runtime
-- An empty string, a billion billion times.
string.rep("", 1e18)
error("reached")
