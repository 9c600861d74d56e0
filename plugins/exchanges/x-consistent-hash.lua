--- Spreads messages over its bindings, so that equal keys meet again and a new binding moves few of them.
--- A binding's routing key is its weight. What is hashed: the routing key, or the header named by the
--- exchange's argument "hash-header", or the property named by "hash-property".
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "spread messages evenly by a hash of key, header or property",
}

local properties = { correlation_id = true, message_id = true, timestamp = true }

local function validate(exchange)
  local header = exchange.arguments["hash-header"]
  local property = exchange.arguments["hash-property"]
  if header ~= nil and property ~= nil then
    return deny("hash-header and hash-property are mutually exclusive")
  end
  if header ~= nil and type(header) ~= "string" then return deny("hash-header must be a string") end
  if property ~= nil and type(property) ~= "string" then return deny("hash-property must be a string") end
  if property and not properties[property] then return deny("Unsupported property: " .. property) end
end

local escapes = { ["\""] = "\\\"", ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

--- A binary as RabbitMQ's error texts show it.
local function shown(text)
  return text == "" and "<<>>" or "<<\"" .. text:gsub("[\"\\\n\r\t]", escapes) .. "\">>"
end

local function bind(binding)
  local key = binding.routing_key
  local weight = key:match("^[+-]?%d+$") and tonumber(key)
  if not weight then return deny("The binding key must be an integer: " .. shown(key)) end
  if weight < 1 then return deny("The binding key must be greater than 0") end
  return { weight = weight }
end

--- A function from a message to what is hashed; made once, not asked for each message.
local function prepare(bindings)
  local header = bindings.exchange.arguments["hash-header"]
  local property = bindings.exchange.arguments["hash-property"]
  if header then
    return function(message) return message.headers[header] end
  end
  if property then
    return function(message) return message[property] end
  end
  return function(message) return message.routing_key end
end

local function text_of(value)
  if type(value) == "table" then return json.encode(value) end
  if value == nil then return "" end
  return tostring(value)
end

local function route(message, bindings, key_of)
  return bindings:hash(text_of(key_of(message)))
end

plugin.exchange = { validate = validate, bind = bind, prepare = prepare, route = route }

return plugin
