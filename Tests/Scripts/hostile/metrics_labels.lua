-- expect: runtime
-- Labels without end.
local labels = {}
for i = 1, 1000 do labels["l" .. i] = "x" end
metrics.counter("c", 1, labels)
