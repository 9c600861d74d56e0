--- One text of several values, for a key of `shared`: different values give different texts, of at most 512
--- bytes.
return function(...)
  local parts = { ... }
  for i = 1, #parts do
    local value = parts[i]
    parts[i] = type(value) == "table" and json.encode(value) or tostring(value)
  end
  local text = table.concat(parts, "\0")
  return #text <= 512 and text or hash.sha256(text)
end
