-- expect: instructions|time
-- Backtracking in gsub.
return (("a"):rep(20000):gsub("(a*)*b", ""):gsub("a-a-a-a-c", ""))
