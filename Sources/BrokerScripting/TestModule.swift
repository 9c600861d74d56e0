/// `require("yutu.test")`: what a plugin's tests stand on. It runs in the plugin's own interpreter, against
/// the same bindings and the same `route` that the broker calls.

let testModule = """
  --- Tests of a plugin: t.test(name, f), t.equal(got, expected), t.exchange(name, {bindings = …}).
  local host = require("yutu.host")
  local t = {}
  local failed = {}

  local function show(value, depth)
    if type(value) == "string" then return string.format("%q", value) end
    if type(value) ~= "table" or depth > 3 then return tostring(value) end
    local parts, keys = {}, {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    for _, key in ipairs(keys) do
      local name = math.type(key) and "" or tostring(key) .. " = "
      parts[#parts + 1] = name .. show(value[key], depth + 1)
    end
    return "{" .. table.concat(parts, ", ") .. "}"
  end

  local function same(a, b, depth)
    if a == b then return true end
    if type(a) ~= "table" or type(b) ~= "table" or depth > 50 then return false end
    for key, value in pairs(a) do if not same(value, b[key], depth + 1) then return false end end
    for key in pairs(b) do if a[key] == nil then return false end end
    return true
  end

  --- Fails unless both are equal; tables are compared by what they hold.
  function t.equal(got, expected)
    if not same(got, expected, 0) then
      error("expected " .. show(expected, 0) .. ", got " .. show(got, 0), 2)
    end
  end

  --- Fails unless the condition holds.
  function t.ok(condition, text)
    if not condition then error(text or "expected a true value", 2) end
  end

  --- Runs a test; a failure is kept and the others run on.
  function t.test(name, f)
    local fine, reason = pcall(f)
    if not fine then failed[#failed + 1] = tostring(reason) .. " in '" .. name .. "'" end
  end

  function t.failures() return failed end

  --- Changes settings for the tests that follow.
  function t.settings(values)
    for name, value in pairs(values) do settings[name] = value end
  end

  local exchange = {}
  exchange.__index = exchange

  --- An exchange of the plugin's type. bindings: queue name -> arguments, or -> {key = …, arguments = …}.
  function t.exchange(name, options)
    options = options or {}
    local bindings, denial = host.exchange({ name = name, type = name, arguments = options.arguments or {} })
    if not bindings then return nil, denial end
    local made = setmetatable({ bindings = bindings }, exchange)
    local queues = {}
    for queue in pairs(options.bindings or {}) do queues[#queues + 1] = queue end
    table.sort(queues)
    for _, queue in ipairs(queues) do
      local fine, reason = made:bind(queue, options.bindings[queue])
      if not fine then error("binding of '" .. queue .. "' refused: " .. reason, 2) end
    end
    return made
  end

  --- True, or nil and the text of the denial.
  function exchange:bind(queue, binding)
    if type(binding) == "string" then binding = { key = binding } end
    local spelled = binding.key or type(binding.arguments) == "table"
    return host.bind(self.bindings, queue, spelled and binding.key or "", spelled and binding.arguments or
      (not spelled and binding) or {}, false)
  end

  --- Sorted names of the queues, or the verdict.
  function exchange:route(message)
    local result = host.route(self.bindings, message)
    if not result.verdict then table.sort(result) end
    return result
  end

  return t
  """
