-- expect: instructions|time
-- Patterns without end, each a new one.
for i = 1, 1e9 do regex.match("[a-z]{1,200}" .. i, "x") end
