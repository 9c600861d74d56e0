-- expect: runtime
-- A pattern that would be a program of a billion instructions.
return regex.match("(((a{1000}){1000}){1000})", "a")
