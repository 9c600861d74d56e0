-- expect: instructions|time
-- Back references.
return ("a"):rep(3000):find("(a*)(a*)%1%2b")
