-- expect: runtime
-- A value above the bound.
return shared("d"):set("k", ("x"):rep(1 << 21))
