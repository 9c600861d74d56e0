-- expect: runtime
-- A time that is negative.
return shared("d"):set("k", 1, -1)
