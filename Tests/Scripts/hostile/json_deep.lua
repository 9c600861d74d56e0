-- expect: runtime
-- JSON, a hundred thousand deep.
return json.decode(("["):rep(100000))
