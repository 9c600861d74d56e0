-- expect: runtime
-- A library that is not there.
return io.open("/etc/passwd")
