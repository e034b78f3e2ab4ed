-- The utf8 library. What goes through a whole text in C counts as the instructions that it is worth (see string.lua).
local host, raw = ...

local raw_type = raw.type
local charge, count = host.charge_text, host.count

local library = { charpattern = raw.utf8.charpattern, codes = raw.utf8.codes }

function library.char(...)
  return raw.utf8.char(count(...))
end

function library.len(s, ...)
  return raw.utf8.len(charge(s, 8), ...)
end

function library.codepoint(s, first, last, ...)
  if last == nil then
    return raw.utf8.codepoint(s, first)
  end
  return count(raw.utf8.codepoint(s, first, last, ...))
end

function library.offset(s, n, ...)
  local steps = raw_type(n) == "number" and raw.math.abs(n) or 0
  if raw_type(s) == "string" and (steps > 1024 or steps < 0) then
    -- A character has at most four bytes; the least integer has no absolute value.
    host.charge((steps < 0 or steps >= #s) and #s or raw.math.min(#s, 4 * raw.math.ceil(steps)), 4)
  end
  return raw.utf8.offset(s, n, ...)
end

return library
