-- expect: runtime
-- A method of a dictionary, called with something else.
return shared("d").get(null, "k")
