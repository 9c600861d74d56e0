-- expect: instructions|time
-- A pattern with more states than fit, over a long text.
return regex.match("(a|b)*a(a|b){300}x", ("ab"):rep(1000000) .. ("aab"):rep(1000000))
