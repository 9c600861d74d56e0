-- expect: runtime|memory
-- A string of ten gigabytes.
return string.rep("x", 1e10)
