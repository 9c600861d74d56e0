--- Points in time as texts: 2024-06-30, 2024-06-30T12:30, 2024-06-30T12:30:05.5Z, 2024-06-30T12:30+02:00.
--- Without an offset it is UTC.
local dates = {}

-- Days from 1970-01-01, by the civil calendar.
local function days(year, month, day)
  if month <= 2 then year, month = year - 1, month + 12 end
  local era = year // 400
  local of_era = year - era * 400
  local of_year = (153 * (month - 3) + 2) // 5 + day - 1
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
end

local lengths = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function offset_of(text)
  if text == "" or text == "Z" or text == "z" then return 0 end
  local sign, hours, minutes = text:match("^([+-])(%d%d):?(%d%d)$")
  return sign and (sign == "-" and -1 or 1) * (hours * 3600 + minutes * 60)
end

--- The first second since 1970 of what the text names, and the first after it: a day, a minute or a second.
--- Nil if it is no such text.
function dates.span(text)
  local year, month, day, rest = text:match("^(%d%d%d%d)-(%d%d)-(%d%d)(.*)$")
  if not year then return nil end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  if not lengths[month] or day < 1 or day > lengths[month] then return nil end
  local start = days(year, month, day) * 86400
  if rest == "" then return start, start + 86400 end
  local hour, minute, tail = rest:match("^[Tt ](%d%d):(%d%d)(.*)$")
  if not hour or tonumber(hour) > 23 or tonumber(minute) > 59 then return nil end
  local second, zone = tail:match("^:(%d%d%.?%d*)(.*)$")
  local offset = offset_of(zone or tail)
  if not offset or second and tonumber(second) >= 61 then return nil end
  start = start + hour * 3600 + minute * 60 - offset
  if second then return start + tonumber(second), start + tonumber(second) + 1 end
  return start, start + 60
end

--- "A..B", "A..", "..B" or "A" as a function from seconds to a boolean: from the beginning of A to the end of
--- B. Nil if it is none of them.
function dates.range(text)
  local first, last = text:match("^(.-)%.%.(.*)$")
  if not first then first, last = text, text end
  if first == "" and last == "" then return nil end
  local from, to = -math.huge, math.huge
  if first ~= "" then from = dates.span(first) end
  if last ~= "" then to = select(2, dates.span(last)) end
  if not from or not to then return nil end
  return function(seconds) return seconds >= from and seconds < to end
end

--- Seconds since 1970 of a header: a timestamp, a number of seconds, or a text. Nil if it is none of them.
function dates.seconds(value)
  if type(value) == "number" then return value end
  if type(value) == "table" then return math.type(value.timestamp) and value.timestamp end
  return type(value) == "string" and dates.span(value) or nil
end

return dates
