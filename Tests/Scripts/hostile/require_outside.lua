-- expect: runtime
-- A module from elsewhere.
return require("../../etc/passwd")
