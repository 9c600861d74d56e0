--- The topic exchange turned around: the message's routing key is the pattern, and a binding's key is what it
--- is compared with. A publisher says "orders.*.eu" or "#", and reaches all queues whose key fits.
---@type yutu.Plugin
local plugin = {
  api = 1,
  about = "the message's key is a topic pattern over the binding keys",
}

local function words_of(key)
  local words = {}
  if key ~= "" then
    for word in (key .. "."):gmatch("([^.]*)%.") do words[#words + 1] = word end
  end
  return words
end

--- Binding keys as a tree of words; a node holds the bindings that end there.
local function prepare(bindings)
  local root = { next = {} }
  for binding, words in bindings:each() do
    local node = root
    for _, word in ipairs(words) do
      node.next[word] = node.next[word] or { next = {} }
      node = node.next[word]
    end
    node[#node + 1] = binding
  end
  return root
end

--- Adds what the words from `at` on lead to. seen: with more than one "#", a node is walked once for each
--- place in the pattern, so that many cost no more than nodes times words.
local function walk(node, words, at, found, seen)
  if seen then
    if seen[at][node] then return end
    seen[at][node] = true
  end
  local word = words[at]
  if not word then
    for _, binding in ipairs(node) do found[#found + 1] = binding end
  elseif word == "#" then
    walk(node, words, at + 1, found, seen)
    for _, child in pairs(node.next) do walk(child, words, at, found, seen) end
  elseif word == "*" then
    for _, child in pairs(node.next) do walk(child, words, at + 1, found, seen) end
  elseif node.next[word] then
    walk(node.next[word], words, at + 1, found, seen)
  end
end

plugin.exchange = {
  pure = { "routing_key" },
  bind = function(binding) return words_of(binding.routing_key) end,
  prepare = prepare,
  route = function(message, _, root)
    local words, found, seen = words_of(message.routing_key), {}, nil
    if message.routing_key:find("#.*#") then
      seen = {}
      for at = 1, #words + 1 do seen[at] = {} end
    end
    walk(root, words, 1, found, seen)
    return found
  end,
}

return plugin
