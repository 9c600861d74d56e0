-- expect: runtime
-- A network of a megabyte.
return net.in_cidr(("1"):rep(1 << 20), ("1"):rep(1 << 20))
