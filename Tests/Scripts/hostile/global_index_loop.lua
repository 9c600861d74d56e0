-- expect: runtime|instructions|time
-- An undefined global that asks for another.
setmetatable(_G, {__index = function(_, name) return undefined_too end})
return undefined
