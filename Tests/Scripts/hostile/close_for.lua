-- expect: instructions|time
-- The closing value of a for loop.
for _ in next, {}, nil, setmetatable({}, {__close = function() while true do end end}) do end
