-- expect: instructions|time
-- Moves nearly all integers.
table.move({}, 1, math.maxinteger - 1, 2)
