-- expect: instructions|time
-- A pattern that makes other engines try without end.
while true do regex.match("(a*)*b", ("a"):rep(50000)) end
