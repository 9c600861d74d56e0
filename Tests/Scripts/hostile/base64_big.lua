-- expect: instructions|time|memory|runtime
-- base64 of 12 megabytes, of which there is no string.
return base64.encode(("x"):rep(12 << 20 | 1))
