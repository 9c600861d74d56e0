-- expect: instructions|time
-- The same, with the errors caught.
while true do pcall(publish, { queue = "q", body = ("x"):rep(10000) }) end
