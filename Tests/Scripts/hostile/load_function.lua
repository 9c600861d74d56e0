-- expect: runtime
-- A reader that never ends its number.
return load(os.clock)
