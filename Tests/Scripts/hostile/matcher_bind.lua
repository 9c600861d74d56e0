-- expect: instructions|time|memory
-- A matcher that keeps more than fits.
return { matcher = { bind = function() local t = {} for i = 1, 1e9 do t[i] = { i } end end, match = print } }
