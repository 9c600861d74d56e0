-- expect: instructions|time
-- Backtracking.
return ("a"):rep(50000):find(".-.-.-.-b")
