-- expect: runtime|instructions|time|memory
-- Pads to two gigabytes.
return string.pack("c2000000000", "")
