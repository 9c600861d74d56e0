-- expect: instructions|time
-- A balance that never closes, from each start.
return ("("):rep(100000):find("%b()x")
