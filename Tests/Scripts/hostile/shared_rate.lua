-- expect: runtime
-- A rate that is no number.
return shared("d"):take("k", 0/0, 0/0)
