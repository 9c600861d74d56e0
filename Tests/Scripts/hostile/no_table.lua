-- expect: runtime
-- A plugin that is a number.
return 42
