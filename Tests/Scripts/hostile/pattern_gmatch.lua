-- expect: instructions|time
-- Backtracking in gmatch.
for _ in ("a"):rep(20000):gmatch(".-.-.-b") do end
