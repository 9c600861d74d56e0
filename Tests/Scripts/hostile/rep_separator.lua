-- expect: runtime|memory
-- The same with a separator.
return (""):rep(1 << 40, ",")
