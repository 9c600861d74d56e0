-- expect: instructions|time
-- A set of ten thousand characters.
return ("a"):rep(100000):find("[" .. ("b"):rep(10000) .. "]")
