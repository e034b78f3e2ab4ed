-- The string library. Patterns are matched by the engine's own step-limited matcher; what makes
-- long texts is bounded by `longest_text`.
local host, raw = ...

local raw_byte, raw_format, raw_rep, raw_sub = raw.string.byte, raw.string.format, raw.string.rep, raw.string.sub
local raw_select, raw_type = raw.select, raw.type
local fail, match_from = host.fail, host.match_from

local library = {
  len = raw.string.len,
  startswith = host.startswith,
  endswith = host.endswith,
  split = host.split,
  strip = host.strip,
}

local function text(value, what)
  local kind = raw_type(value)
  if kind == "string" then
    return value
  elseif kind == "number" then
    return raw.tostring(value)
  end
  fail(what .. " must be text, got " .. host.kind_name(value))
end

-- No hook runs in a function of C, so each text that one goes through counts as the instructions that it is worth:
-- `cost` thirty-seconds of an instruction for each byte. All costs were measured.

-- Texts and lists that are not worth counting.
local short = 4096

local function charge(value, cost)
  if raw_type(value) == "string" and #value > short then
    host.charge(#value, cost)
  end
  return value
end
host.charge_text = charge

-- Counts the values that a function returned, or that one is called with.
local function count(...)
  local n = raw_select("#", ...)
  if n > short then
    host.charge(n, 64)
  end
  return ...
end
host.count = count

for _, name in raw.ipairs({ "lower", "reverse", "upper" }) do
  local own = raw.string[name]
  library[name] = function(s, ...)
    if raw_type(s) == "string" and #s > short then
      host.charge(#s, 4)
    end
    return own(s, ...)
  end
end

function library.sub(...)
  local part = raw_sub(...)
  if #part > short then
    host.charge(#part, 1)
  end
  return part
end

function library.byte(s, first, last, ...)
  if last == nil then
    return raw_byte(s, first)
  end
  return count(raw_byte(s, first, last, ...))
end

function library.char(...)
  return raw.string.char(count(...))
end

function library.packsize(format, ...)
  return raw.string.packsize(charge(format, 64), ...)
end

function library.pack(format, ...)
  return charge(raw.string.pack(charge(format, 64), ...), 1)
end

function library.unpack(format, s, ...)
  charge(format, 64)
  if raw_type(s) ~= "string" or #s <= short then
    return raw.string.unpack(format, s, ...)
  end
  local values = raw.table.pack(raw.string.unpack(format, s, ...))
  for i = 1, values.n do
    charge(values[i], 4)
  end
  return raw.table.unpack(values, 1, values.n)
end

function library.rep(s, count, separator)
  s, separator = text(s, "string.rep: the first argument"), text(separator or "", "string.rep: the separator")
  local number = raw_type(count) == "number" and raw.math.tointeger(count)
  if not number then
    fail("string.rep: the count must be an integer, got " .. host.show(count))
  end
  local bytes = #s + #separator
  if number <= 0 or bytes == 0 then
    return ""
  elseif number > host.longest_text // bytes then
    host.too_long("string.rep", bytes * (number + 0.0))
  elseif number * bytes > short then
    host.charge(number * bytes, 1)
  end
  return raw_rep(s, number, separator)
end

-- Texts for what Lua would show with an address, which differs at every run.
local function shown(format, ...)
  charge(format, 256)
  local arguments, n = { ... }, raw_select("#", ...)
  local place = 0
  for conversion in raw.string.gmatch(format, "%%[-+ #0]*%d*%.?%d*(.)") do
    if conversion ~= "%" then
      place = place + 1
      if conversion == "s" and place <= n then
        arguments[place] = host.tostring(arguments[place])
      elseif conversion == "p" then
        fail("string.format: %p is not available in rules")
      end
    end
  end
  for i = 1, n do
    charge(arguments[i], 2)
  end
  return raw_format(format, raw.table.unpack(arguments, 1, n))
end

function library.format(format, ...)
  format = text(format, "string.format: the format")
  for i = 1, raw_select("#", ...) do
    local value = raw_select(i, ...)
    local kind = raw_type(value)
    if kind == "string" then
      if #value > short then
        -- `%q` writes each control character as a number.
        host.charge(#value, raw.string.find(format, "q", 1, true) and 64 or 2)
      end
    elseif kind ~= "number" then
      return shown(format, ...)
    end
  end
  if #format > short then
    host.charge(#format, 8)
  end
  if raw.string.find(format, "p", 1, true) then
    return shown(format, ...)
  end
  return raw_format(format, ...)
end

function library.find(s, pattern, init, plain)
  return host.find(text(s, "string.find: the text"), text(pattern, "string.find: the pattern"), init, plain)
end

function library.match(s, pattern, init)
  return host.match(text(s, "string.match: the text"), text(pattern, "string.match: the pattern"), init)
end

function library.gmatch(s, pattern, init)
  s, pattern = text(s, "string.gmatch: the text"), text(pattern, "string.gmatch: the pattern")
  local from, last = host.start_of(s, init), nil
  local function step(first, stop, ...)
    if first then
      from, last = stop, stop
    else
      from = #s + 2
    end
    return ...
  end
  return function()
    if from > #s + 1 then
      return nil
    end
    return step(match_from(s, pattern, from, last, false))
  end
end

-- The parts of a replacement text: texts, and the numbers of captures.
local function template(replacement)
  local parts, from = {}, 1
  while true do
    local percent = raw.string.find(replacement, "%", from, true)
    parts[#parts + 1] = raw_sub(replacement, from, (percent or 0) - 1)
    if not percent then
      return parts
    end
    local sign = raw_sub(replacement, percent + 1, percent + 1)
    if sign == "%" then
      parts[#parts + 1] = "%"
    elseif sign ~= "" and raw.string.find("0123456789", sign, 1, true) then
      parts[#parts + 1] = raw_byte(sign) - 48
    else
      fail("invalid use of '%' in the replacement text of string.gsub")
    end
    from = percent + 2
  end
end

local function fill(parts, whole, ...)
  local filled = {}
  for i = 1, #parts do
    local part = parts[i]
    if part == 0 then
      part = whole
    elseif raw_type(part) == "number" then
      if part > raw_select("#", ...) then
        fail("invalid capture index %" .. part .. " in the replacement text of string.gsub")
      end
      part = raw_select(part, ...)
    end
    filled[i] = part
  end
  return raw.table.concat(filled)
end

function library.gsub(s, pattern, replacement, most)
  s, pattern = text(s, "string.gsub: the text"), text(pattern, "string.gsub: the pattern")
  charge(s, 4)
  local kind = raw_type(replacement)
  local parts
  if kind == "number" or kind == "string" then
    parts = template(text(replacement, "string.gsub: the replacement"))
  elseif kind ~= "function" and kind ~= "table" and not host.is_view(replacement) then
    fail("string.gsub: the replacement must be text, a table or a function, got " .. host.kind_name(replacement))
  end
  if most ~= nil and not raw.math.tointeger(most) then
    fail("string.gsub: the greatest number of replacements must be an integer, got " .. host.show(most))
  end
  most = most and raw.math.tointeger(most) or #s + 1
  local anchored = raw_byte(pattern) == 94
  if anchored then
    pattern = raw_sub(pattern, 2)
  end

  local result, n, bytes = {}, 0, 0
  local function append(piece)
    n = n + 1
    result[n] = piece
    bytes = bytes + #piece
    if bytes > host.longest_text then
      host.too_long("string.gsub", bytes)
    end
  end

  local from, last, count = 1, nil, 0
  local function replace(first, stop, ...)
    if not first then
      return false
    end
    append(raw_sub(s, from, first - 1))
    local whole = raw_sub(s, first, stop - 1)
    local value
    if parts then
      value = fill(parts, whole, ...)
    elseif kind == "function" then
      value = replacement(...)
    else
      value = replacement[(...)]
    end
    if not value then
      value = whole
    elseif raw_type(value) == "number" then
      value = raw.tostring(value)
    elseif raw_type(value) ~= "string" then
      fail("string.gsub: the replacement is " .. host.kind_name(value) .. "; it must be text, a number, nil or false")
    end
    append(value)
    from, last, count = stop, stop, count + 1
    return not anchored
  end
  while count < most and replace(match_from(s, pattern, from, last, anchored)) do
  end
  append(raw_sub(s, from))
  return raw.table.concat(result), count
end

return library
